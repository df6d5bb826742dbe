"""The middleware under real Starlette and FastAPI applications."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from unstale import NOT_FOUND, AsyncCache, starlette
from unstale.starlette import CacheMiddleware, tag


def client(app, **options):
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://shop", **options)


@pytest.fixture
def shop(aio):
    app = FastAPI()
    app.add_middleware(CacheMiddleware, cache=aio, ttl="1m", stale_for="10m")
    app.state.made = made = []

    @app.get("/users/{user_id}")
    async def user(user_id: int, request: Request, q: str = ""):
        """A user."""
        made.append(user_id)
        tag(request, "users", f"user:{user_id}")
        return {"id": user_id, "q": q, "n": len(made)}

    return app


async def test_a_page_is_made_once_and_invalidated_by_its_tags(shop, aio):
    async with client(shop) as http:
        first, second = await http.get("/users/7"), await http.get("/users/7")
        assert first.json() == second.json() == {"id": 7, "q": "", "n": 1}
        assert first.headers["cache-status"] == "unstale; fwd=uri-miss; stored"
        assert second.headers["cache-status"].startswith("unstale; hit; ttl=")
        assert second.headers["surrogate-key"] == "users user:7"
        assert second.headers["cache-control"] == "no-cache" and int(second.headers["age"]) >= 0
        assert first.headers["etag"] == second.headers["etag"]
        assert (await http.get("/users/8")).json()["n"] == 2
        await aio.invalidate(tags=["user:7"])
        assert (await http.get("/users/7")).json()["n"] == 3
        assert (await http.get("/users/8")).json()["n"] == 2


async def test_an_unchanged_page_is_a_304(shop, aio):
    async with client(shop) as http:
        etag = (await http.get("/users/7")).headers["etag"]
        for condition in [etag, f"W/{etag}", f'"other", {etag}', "*"]:
            same = await http.get("/users/7", headers={"if-none-match": condition})
            assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
            assert "content-length" not in same.headers and same.headers["surrogate-key"] == "users user:7"
        assert (await http.get("/users/7", headers={"if-none-match": '"other"'})).status_code == 200
        await aio.invalidate(tags=["users"])
        changed = await http.get("/users/7", headers={"if-none-match": etag})
        assert changed.status_code == 200 and changed.headers["etag"] != etag
        head = await http.head("/users/7")
        assert (head.status_code, head.content) == (200, b"") and "hit" in head.headers["cache-status"]


async def test_requests_that_come_together_make_one_page(shop):
    async with client(shop) as http:
        pages = await asyncio.gather(*(http.get("/users/7") for _ in range(20)))
        assert [page.json()["n"] for page in pages] == [1] * 20


async def test_what_is_not_for_everybody_passes_through(aio):
    made = []

    def page(**how):
        async def endpoint(request):
            made.append(1)
            return Response(b"x%d" % len(made), **how)

        return endpoint

    async def stream(request):
        made.append(1)
        return StreamingResponse(iter([b"a", b"b"]))

    async def broken(request):
        made.append(1)
        raise ValueError("broken")

    bad = {
        "/cookie": page(headers={"set-cookie": "a=b"}),
        "/private": page(headers={"cache-control": "private, max-age=60"}),
        "/no-store": page(headers={"cache-control": "no-store"}),
        "/zero": page(headers={"cache-control": "max-age=0"}),
        "/vary": page(headers={"vary": "accept, x-user"}),
        "/star": page(headers={"vary": "*"}),
        "/error": page(status_code=500),
        "/large": page(headers={"content-length": "2000000"}),
        "/stream": stream,
    }
    routes = [Route(path, endpoint, methods=["GET", "POST"]) for path, endpoint in bad.items()]
    app = Starlette(routes=[*routes, Route("/good", page(), methods=["GET", "POST"]), Route("/broken", broken)])
    app.add_middleware(CacheMiddleware, cache=aio, ttl="1m")
    async with client(app) as http:
        for path in bad:
            before = len(made)
            one, two = await http.get(path), await http.get(path)
            assert len(made) == before + 2, path
            assert "hit" not in two.headers["cache-status"] and "etag" not in one.headers
    async with client(app) as http:  # without the cookie that it was given
        before = len(made)
        assert "fwd" in (await http.head("/good")).headers["cache-status"]
        await http.get("/good")
        for how in [{"authorization": "Bearer x"}, {"cookie": "a=b"}, {"cache-control": "no-store"}, {"range": "bytes=0-1"}]:
            assert "bypass" in (await http.get("/good", headers=how)).headers["cache-status"]
        assert "bypass" in (await http.post("/good")).headers["cache-status"]
        assert len(made) == before + 7
        assert "hit" in (await http.get("/good")).headers["cache-status"]
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                await http.get("/broken")


async def test_the_applications_own_cache_control_counts(aio):
    async def endpoint(request):
        headers = {"cache-control": "public, max-age=5, s-maxage=600", "etag": '"own"', "surrogate-key": "a b"}
        return PlainTextResponse("x", headers=headers)

    app = Starlette(routes=[Route("/", endpoint)])
    app.add_middleware(CacheMiddleware, cache=aio)
    async with client(app) as http:
        await http.get("/")
        hit = await http.get("/")
        assert (hit.headers["cache-control"], hit.headers["etag"]) == ("public, max-age=5, s-maxage=600", '"own"')
        assert 590 <= int(hit.headers["cache-status"].rpartition("=")[2]) <= 600
        await aio.invalidate(tags="b")
        assert "hit" not in (await http.get("/")).headers["cache-status"]


async def test_pages_differ_by_query_host_and_what_they_vary_by(shop):
    async with client(shop) as http:
        for how in [{}, {"params": {"q": "a"}}, {"headers": {"accept": "text/html"}}, {"headers": {"host": "b"}}]:
            assert "fwd" in (await http.get("/users/7", **how)).headers["cache-status"]
            assert "hit" in (await http.get("/users/7", **how)).headers["cache-status"]


async def test_a_stale_page_is_given_while_another_request_makes_it(aio):
    inside, go_on, made = asyncio.Event(), asyncio.Event(), []

    async def endpoint(request):
        made.append(1)
        tag(request, "t")
        if len(made) > 1:
            inside.set()
            await go_on.wait()
        return PlainTextResponse(str(len(made)))

    app = Starlette(routes=[Route("/", endpoint)])
    app.add_middleware(CacheMiddleware, cache=aio, ttl="1m", stale_for="1h")
    async with client(app) as http:
        assert (await http.get("/")).text == "1"
        await aio.invalidate(tags=["t"], soft=True)
        making = asyncio.create_task(http.get("/"))
        await inside.wait()
        stale = await http.get("/")
        assert (stale.text, stale.headers["cache-status"]) == ("1", "unstale; hit; ttl=-1")
        go_on.set()
        assert (await making).text == "2"
        assert (await http.get("/")).text == "2"


async def test_a_request_that_waited_in_vain_makes_its_own_page(aio):
    inside, go_on, made = asyncio.Event(), asyncio.Event(), []

    async def endpoint(request):
        made.append(1)
        if len(made) == 1:
            inside.set()
            await go_on.wait()
        return PlainTextResponse(str(len(made)))

    app = Starlette(routes=[Route("/", endpoint)])
    app.add_middleware(CacheMiddleware, cache=aio, ttl="1m", wait=0)
    async with client(app) as http:
        making = asyncio.create_task(http.get("/"))
        await inside.wait()
        own = await http.get("/")
        assert (own.text, own.headers["cache-status"]) == ("2", "unstale; fwd=miss; detail=busy")
        go_on.set()
        await making


async def test_who_waits_for_a_page_that_is_not_for_everybody_waits_no_longer(aio):
    """Not until the stream, or the task behind the response, is over."""
    asked, start, end, made = asyncio.Event(), asyncio.Event(), asyncio.Event(), []

    async def stream():
        yield b"first"
        await end.wait()

    async def endpoint(request):
        made.append(1)
        if len(made) == 1:
            asked.set()
            await start.wait()
            return StreamingResponse(stream())
        return PlainTextResponse("x")

    app = one_page(aio, endpoint, wait=60)
    first = asyncio.create_task(app(told(), asyncio.Event().wait, collecting([])))
    await asked.wait()
    sent = []
    second = asyncio.create_task(app(told(), asyncio.Event().wait, collecting(sent)))
    await asyncio.sleep(0)  # it runs up to where it asks the sidecar
    start.set()
    await asyncio.wait_for(second, 20)
    assert sent[-1]["body"] == b"x" and not first.done()
    end.set()
    await first


async def test_a_page_of_another_length_than_it_says_is_not_kept(aio):
    async def endpoint(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"four"})

    for _ in range(2):
        sent = []
        await CacheMiddleware(endpoint, cache=aio, ttl="1m")(told(), nothing_more, collecting(sent))
        assert sent[1]["body"] == b"four"
        assert dict(sent[0]["headers"])[b"cache-status"] == b"unstale; fwd=uri-miss"


async def test_without_a_sidecar_pages_are_made(tmp_path):
    async def endpoint(request):
        return PlainTextResponse("x")

    app = Starlette(routes=[Route("/", endpoint)])
    app.add_middleware(CacheMiddleware, cache=AsyncCache(f"unix:{tmp_path}/none"), ttl="1m")
    async with client(app) as http:
        page = await http.get("/")
        assert (page.text, page.headers["cache-status"]) == ("x", "unstale; fwd=bypass; detail=outage")


async def test_a_decorated_function_is_a_fastapi_endpoint(aio):
    app, calls = FastAPI(), []

    @app.get("/users/{user_id}")
    @aio.cached(key="user:{user_id}", ttl=60)
    async def user(user_id: int, q: str = "none") -> dict[str, str]:
        calls.append(1)
        return {"q": q}

    @app.get("/plain/{n}")
    @aio.cached(key="plain:{n}", ttl=60)
    def plain(n: int) -> dict[str, int]:
        calls.append(1)
        return {"n": n}

    async with client(app) as http:
        for _ in range(2):
            assert (await http.get("/users/7?q=x")).json() == {"q": "x"}
            assert (await http.get("/plain/3")).json() == {"n": 3}
        assert (await http.get("/users/x")).status_code == 422
    assert len(calls) == 2


def told(path="/", headers=(), **more):
    """A scope as a server makes it."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"shop"), *headers],
        "server": ("shop", 80),
        "client": ("c", 1),
        **more,
    }


async def nothing_more():
    return {"type": "http.request", "body": b"", "more_body": False}


def collecting(sent):
    async def send(message):
        sent.append(message)

    return send


def one_page(aio, endpoint, **options):
    app = Starlette(routes=[Route("/{name:path}", endpoint)])
    app.add_middleware(CacheMiddleware, cache=aio, **{"ttl": "1m", **options})
    return app


async def test_a_header_in_several_lines_is_one_for_the_key_and_for_the_application(aio):
    async def endpoint(request):
        return PlainTextResponse(request.headers["accept"])

    async with client(one_page(aio, endpoint)) as http:
        split = await http.get("/", headers=[("accept", "application/json"), ("accept", "text/html")])
        assert split.text == "application/json, text/html"
        for accept in ["text/html", "application/json", "application/json, text/html"]:
            assert (await http.get("/", headers={"accept": accept})).text == accept


async def test_a_response_does_not_wait_for_background_tasks(aio):
    sent, order = asyncio.Event(), []

    async def background():
        await asyncio.wait_for(sent.wait(), 20)
        order.append("background")

    async def endpoint(request):
        return PlainTextResponse("x", background=BackgroundTask(background))

    async def send(message):
        if message["type"] == "http.response.body":
            order.append("sent")
            sent.set()

    await one_page(aio, endpoint)(told(), nothing_more, send)
    assert order == ["sent", "background"]


async def test_a_file_that_the_server_sends_itself_passes_through(aio, tmp_path):
    (tmp_path / "a").write_text("hello")
    sent = []

    async def endpoint(request):
        return FileResponse(tmp_path / "a")

    async def send(message):
        sent.append(message["type"])

    scope = told(extensions={"http.response.pathsend": {}})
    await one_page(aio, endpoint)(scope, nothing_more, send)
    assert sent == ["http.response.start", "http.response.pathsend"]


@pytest.mark.parametrize(
    "headers, stored",
    [
        ({"cache-control": "no-cache"}, False),
        ({"expires": "0"}, False),
        ({"expires": "Thu, 01 Jan 1970 00:00:00 GMT"}, False),
        ({"pragma": "no-cache"}, False),
        ({"cache-control": "max-age=soon"}, False),
        ({"cache-control": "max-age=0", "expires": "Fri, 01 Jan 2100 00:00:00 GMT"}, False),
        ({"cache-control": "max-age=7", "expires": "0"}, True),
        ({"cache-control": "max-age=7", "pragma": "no-cache"}, True),
        ({"cache-control": "max-age=99999999"}, True),
        ({"expires": "Fri, 01 Jan 2100 00:00:00 GMT"}, True),
    ],
)
async def test_the_origins_freshness_rules_hold(aio, headers, stored):
    async def endpoint(request):
        return PlainTextResponse("x", headers=headers)

    async with client(one_page(aio, endpoint)) as http:
        await http.get("/")
        hit = await http.get("/")
        assert ("hit" in hit.headers["cache-status"]) is stored
        if "max-age=7" in headers.values():
            assert 0 <= int(hit.headers["cache-status"].rpartition("=")[2]) <= 7


@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate"])
async def test_what_must_be_revalidated_is_never_served_stale(aio, directive, monkeypatch):
    inside, go_on, waits, made = asyncio.Event(), asyncio.Event(), asyncio.Event(), []
    lease = CacheMiddleware._lease

    def asked(self, key, allow_stale):
        if not allow_stale:
            waits.set()
        return lease(self, key, allow_stale)

    monkeypatch.setattr(CacheMiddleware, "_lease", asked)

    async def endpoint(request):
        made.append(1)
        tag(request, "t")
        if len(made) > 1:
            inside.set()
            await go_on.wait()
        return PlainTextResponse(str(len(made)), headers={"cache-control": f"max-age=60, {directive}"})

    async with client(one_page(aio, endpoint, stale_for="1h")) as http:
        assert (await http.get("/")).text == "1"
        await aio.invalidate(tags=["t"], soft=True)
        making = asyncio.create_task(http.get("/"))
        await inside.wait()
        other = asyncio.create_task(http.get("/"))
        waiting = asyncio.create_task(waits.wait())
        # It is answered with the stale page, or waits for the new one.
        await asyncio.wait([other, waiting], return_when=asyncio.FIRST_COMPLETED)
        assert not other.done()
        go_on.set()
        assert (await making).text == (await other).text == "2"


async def test_a_condition_is_the_browsers_and_the_page_is_made_whole(aio, tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    app = CacheMiddleware(StaticFiles(directory=tmp_path), cache=aio, ttl="1m")
    async with client(app) as http:
        first = await http.get("/a.txt?other")
        for name, value in [("if-none-match", "etag"), ("if-modified-since", "last-modified")]:
            query = f"/a.txt?{name}"
            same = await http.get(query, headers={name: first.headers[value]})
            assert (same.status_code, same.content) == (304, b"")
            whole = await http.get(query)
            assert whole.text == "hello" and "hit" in whole.headers["cache-status"]


async def test_one_failure_does_not_switch_a_page_off(aio):
    made = []

    async def endpoint(request):
        made.append(1)
        return PlainTextResponse("x", 500 if len(made) == 1 else 200)

    async with client(one_page(aio, endpoint)) as http:
        assert [(await http.get("/")).status_code for _ in range(4)] == [500, 200, 200, 200]
        assert len(made) == 2


def raising(inside, many, at_once):
    """An endpoint that raises, from the second time on when `many` are in it."""

    async def endpoint(request):
        inside.append(1)
        if len(inside) == 2 + many:
            at_once.set()
        if len(inside) > 2:
            await at_once.wait()
        raise ValueError("broken")

    return endpoint


@pytest.mark.parametrize("raised", ["at once", "after the start"])
async def test_requests_of_a_page_that_raises_do_not_wait_for_each_other(aio, monkeypatch, raised):
    monkeypatch.setattr(starlette, "_PASS_FAILED", 3600.0)
    inside, at_once = [], asyncio.Event()
    fails = raising(inside, 5, at_once)

    async def app(scope, receive, send):
        if raised == "after the start":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await fails(None)

    async with client(CacheMiddleware(app, cache=aio, ttl="1m", wait=60)) as http:
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                await http.get("/")
        asking = [asyncio.create_task(http.get("/")) for _ in range(5)]
        # Each raises only when all are in the application.
        await asyncio.wait_for(at_once.wait(), 20)
        results = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(result) for result in results] == [ValueError] * 5


async def test_what_raises_behind_its_response_has_not_failed(aio):
    made = []

    async def background():
        raise ValueError("broken")

    async def endpoint(request):
        made.append(1)
        tag(request, "t")
        return PlainTextResponse("x", background=BackgroundTask(background))

    async with client(one_page(aio, endpoint)) as http:
        for count in [1, 2, 3]:
            with pytest.raises(ValueError, match="broken"):
                await http.get("/")
            assert "hit" in (await http.get("/")).headers["cache-status"]
            assert len(made) == count
            await aio.invalidate(tags="t")


async def test_a_head_that_raises_says_nothing_of_the_page(aio):
    made = []

    async def app(scope, receive, send):
        made.append(1)
        if scope["method"] == "HEAD":
            raise ValueError("broken")
        await PlainTextResponse("x")(scope, receive, send)

    async with client(CacheMiddleware(app, cache=aio, ttl="1m")) as http:
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                await http.head("/")
        assert "stored" in (await http.get("/")).headers["cache-status"]


@pytest.mark.parametrize(
    "name, encoded",
    [
        ("a\r\nset-cookie:x=1", "a%0D%0Aset-cookie:x=1"),
        ("ada home", "ada%20home"),
        ("é%", "%C3%A9%25"),
        ("\udcff", "%ED%B3%BF"),
        ("a:b/c-d_e.f~g", "a:b/c-d_e.f~g"),
    ],
)
async def test_tags_of_user_input_are_encoded_for_headers(aio, name, encoded):
    made = []

    async def endpoint(request):
        made.append(1)
        tag(request, name)
        return PlainTextResponse("x")

    async with client(one_page(aio, endpoint)) as http:
        page = await http.get("/")
        assert page.headers["surrogate-key"] == encoded and "set-cookie" not in page.headers
        if name == "\udcff":
            return  # no tag for the sidecar: the page is given, not cached
        await aio.invalidate(tags=["home"])
        assert "hit" in (await http.get("/")).headers["cache-status"]
        await aio.invalidate(tags=[name])
        await http.get("/")
        assert len(made) == 2


async def test_a_path_that_is_no_text_has_a_page_too(aio):
    sent = []

    async def endpoint(request):
        return PlainTextResponse("x")

    async def send(message):
        sent.append(message.get("status"))

    await one_page(aio, endpoint)(told("/") | {"path": "/\udcff", "raw_path": b"/%ff"}, nothing_more, send)
    assert sent == [200, None]


async def test_what_is_no_page_under_its_key_is_a_miss(aio, monkeypatch):
    async def endpoint(request):
        return PlainTextResponse("x")

    monkeypatch.setattr(CacheMiddleware, "_key", lambda *_: "http:k")
    async with client(one_page(aio, endpoint)) as http:
        for junk in ["text", NOT_FOUND]:
            await aio.set("http:k", junk)
            page = await http.get("/")
            assert (page.text, page.headers["cache-status"]) == ("x", "unstale; fwd=miss")
