// Log in and out on the front page. Everything from the server is shown as text, never as markup.
"use strict";

const part = (id) => document.getElementById(id);

async function ask(path, options) {
  const answer = await fetch(path, options);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail ? `${body.error}: ${body.detail}` : body.error);
  return body;
}

function show(me) {
  part("who").textContent = me.authenticated
    ? `You are logged in as ${me.username} (${me.role}).`
    : "You are not logged in.";
  part("login").hidden = me.authenticated;
  part("logout").hidden = !me.authenticated;
}

async function act(path, body) {
  part("trouble").textContent = "";
  try {
    if (path) {
      await ask(path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
    }
    show(await ask("api/auth/me"));
  } catch (error) {
    part("trouble").textContent = error.message;
  }
}

part("login").addEventListener("submit", (event) => {
  event.preventDefault();
  act("api/auth/login", Object.fromEntries(new FormData(event.target)));
});
part("logout").addEventListener("click", () => act("api/auth/logout", {}));
act();
