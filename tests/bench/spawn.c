/* Start the commands of a file through bash, a given number at a time, and do nothing else. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    FILE *list = fopen(argv[1], "r");
    int slots = atoi(argv[2]), running = 0, status;
    char *line = NULL;
    size_t room = 0;
    if (!list) return 2;
    while (getline(&line, &room, list) > 0) {
        line[strcspn(line, "\n")] = 0;
        if (running == slots) {
            if (wait(&status) < 0 || status) return 1;
            running--;
        }
        char *words[] = {"bash", "-c", line, NULL};
        pid_t pid;
        if (posix_spawnp(&pid, "bash", NULL, NULL, words, environ)) return 1;
        running++;
    }
    while (running-- > 0)
        if (wait(&status) < 0 || status) return 1;
    return 0;
}
