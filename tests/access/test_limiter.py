"""The rate limiter: a window that slides, answers that help, memory that does not grow."""

from oxoflow.access.limiter import RateLimiter, RateLimiterConfig


def limiter(**config: float) -> RateLimiter:
    return RateLimiter(RateLimiterConfig(**config))  # type: ignore[arg-type]


def test_the_default_is_a_hundred_in_a_minute() -> None:
    assert (RateLimiterConfig().max_requests, RateLimiterConfig().window) == (100, 60.0)


def test_the_window_slides() -> None:
    counter = limiter(max_requests=3, window=10)
    assert [counter.check("a", now).allowed for now in (0, 4, 8)] == [True] * 3
    assert not counter.check("a", 9.9).allowed
    assert counter.check("a", 10).allowed  # the stamp of 0 has left, those of 4 and 8 have not
    assert not counter.check("a", 13.9).allowed
    assert counter.check("a", 14).allowed


def test_a_refused_request_does_not_extend_the_wait() -> None:
    counter = limiter(max_requests=1, window=10)
    counter.check("a", 0)
    assert [counter.check("a", now).retry_after for now in (0, 3.5, 9.5)] == [11, 7, 1]
    assert counter.check("a", 10).allowed


def test_keys_do_not_share() -> None:
    counter = limiter(max_requests=1, window=10)
    assert counter.check("a", 0).allowed
    assert counter.check("b", 0).allowed


def test_the_answer_says_what_is_left() -> None:
    counter = limiter(max_requests=2, window=10)
    first, second, third = (counter.check("a", now) for now in (0, 2, 2))
    assert (first.limit, first.remaining, first.reset) == (2, 1, 10)
    assert (second.remaining, second.reset) == (0, 8)
    assert (third.allowed, third.remaining, third.retry_after) == (False, 0, 9)


def test_the_least_recently_seen_keys_are_forgotten_first() -> None:
    counter = limiter(max_requests=1, window=10, max_keys=3)
    for key in ("a", "b", "c", "a", "d"):
        counter.check(key, 0)
    assert len(counter) == 3
    assert not counter.check("a", 1).allowed
    assert counter.check("b", 1).allowed


def test_the_stamps_are_bounded_over_all_keys() -> None:
    counter = limiter(max_requests=10, window=10, max_stamps=25)
    for key in "abcd":
        for _ in range(10):
            counter.check(key, 0)
    assert len(counter) == 2
