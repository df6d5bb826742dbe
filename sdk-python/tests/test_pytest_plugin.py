"""The fixtures, in a pytest of their own, as a user's project has them."""


def test_a_project_gets_a_sidecar_and_an_empty_cache(pytester):
    pytester.makepyfile(
        """
        seen = []

        def test_one(unstale_cache, unstale_sidecar):
            assert unstale_cache.get("k") is None
            assert unstale_cache.set("k", 1)
            seen.append(unstale_sidecar.pid)

        def test_two(unstale_cache, unstale_sidecar, unstale_async_cache):
            import asyncio
            assert unstale_cache.get("k") is None
            assert asyncio.run(unstale_async_cache.set("k", 2))
            assert unstale_cache.get("k") == 2
            assert seen == [unstale_sidecar.pid]
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_a_sidecar_that_cannot_start_says_what_it_said(pytester, monkeypatch):
    monkeypatch.setenv("UNSTALE_BIN", "/bin/false")
    pytester.makepyfile("def test_it(unstale_cache): pass")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*does not serve*"])
