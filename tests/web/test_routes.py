"""Every route that tells of jobs or of the server, over HTTP."""

import re

import pytest
from serving import JOBS, clip, listening

from xumx_jax.web.jobs import Live
from xumx_jax.weights import zoo
from xumx_jax.weights.tasks import TASKS

UNKNOWN = "0" * 32


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    """A server whose jobs only wait."""
    with listening(tmp_path_factory.mktemp("idle") / "data", max_queue=50) as running:
        yield running


def queued(server, name="song.wav", **query):
    answer = server.send(clip(0.05), name, **query)
    assert answer.status == 202, answer
    return answer.json()


def test_a_job_from_upload_to_stems(server, done):
    assert done["name"] == "Song A.wav" and done["state"] == "done" and done["progress"] == 1
    assert (done["rate"], done["channels"], done["frames"]) == (44100, 2, 44100)
    assert done["error"] is None and done["seconds"] == 1 and done["gain"] > 0
    assert done["created"] <= done["started"] <= done["ended"]
    assert done["expires"] == pytest.approx(done["ended"] + 7 * 86400, abs=1)
    assert [stem["name"] for stem in done["stems"]] == ["bass", "drums", "vocals", "other"]
    for stem in done["stems"]:
        whole = server.get(stem["wav"]).body
        assert whole[stem["offset"] - 8 : stem["offset"] - 4] == b"data"
        assert len(whole) == stem["offset"] + 4 * done["frames"]
        assert server.get(stem["url"]).status == server.get(stem["peaks"]).status == 200
    assert server.get(done["all"]).status == 200


def test_the_answer_to_an_upload_is_the_job(idle):
    answer = idle.send(
        clip(0.05), "Song.wav", stems="vocals,bass", niter=0, format="mp3", bitrate=128
    )
    job = answer.json()
    assert answer.headers["location"] == f"{JOBS}/{job['id']}" and job == idle.job(job["id"])
    assert re.fullmatch("[0-9a-f]{32}", job["id"]) and job["state"] == "queued"
    options = job["options"]
    assert (options["model"], options["stems"], options["niter"]) == ("demo", ["vocals", "bass"], 0)
    assert (options["format"], options["bitrate"], options["bits"]) == ("mp3", 128, None)
    assert job["stems"] == [] and job["all"] is job["frames"] is job["gain"] is None


def test_put_is_what_curl_sends(idle):
    assert idle.ask("PUT", JOBS, clip(0.05), name="song.wav").status == 202


def test_the_queue_is_listed_and_put_into_another_order(idle):
    ids = [queued(idle, f"{number}.wav")["id"] for number in range(3)]

    def order():
        listed = idle.get(JOBS).json()["jobs"]
        assert [job["ahead"] for job in listed] == list(range(len(listed)))
        return [job["id"] for job in listed if job["id"] in ids]

    assert order() == ids
    answer = idle.ask("POST", f"{JOBS}/{ids[2]}/move", before=ids[0])
    assert answer.status == 200 and answer.json()["id"] == ids[2]
    assert order() == [ids[2], ids[0], ids[1]]
    assert idle.ask("POST", f"{JOBS}/{ids[2]}/move").status == 200
    assert order() == ids
    answer = idle.ask("POST", f"{JOBS}/{ids[2]}/move", before=UNKNOWN)
    assert (answer.status, answer.code) == (409, "not_queued")


def test_the_list_is_not_sent_again_while_nothing_has_changed(tmp_path):
    with listening(tmp_path / "data") as server:
        store, tags = server.store, []

        def changed():
            """Whether the list is sent to somebody who has the last one."""
            headers = {"If-None-Match": tags[-1]} if tags else {}
            answer = server.get(JOBS, headers)
            assert answer.headers["cache-control"] == "private, no-cache"
            if answer.status == 304:
                assert not answer.body and answer.headers["etag"] == tags[-1]
                return False
            assert answer.status == 200 and answer.headers["etag"] not in tags
            tags.append(answer.headers["etag"])
            return True

        assert changed() and not changed() and not changed()
        id = queued(server)["id"]
        assert changed() and not changed()
        other = queued(server)["id"]
        store.move(other, id)
        assert changed() and not changed()
        assert store.take().id == other and changed() and not changed()
        store.progress(other, 0.5, 3.0)
        assert changed() and not changed()
        store.grown(other, Live(44100, 2, None, 100, ("a",)))
        assert changed() and not changed()
        assert store.remove(id) and changed() and not changed()
        assert server.get(JOBS, {"If-None-Match": f'"x", W/{tags[-1]}'}).status == 304
        assert server.ask("HEAD", JOBS, None, {"If-None-Match": tags[-1]}).status == 304
    with listening(tmp_path / "data") as server:  # the same jobs, and versions that begin anew
        assert server.get(JOBS, {"If-None-Match": tags[-1]}).status == 200


def test_a_removed_job_is_gone(idle):
    id = queued(idle)["id"]
    assert id in idle.folders()
    assert idle.ask("DELETE", f"{JOBS}/{id}").status == 202
    assert id not in idle.folders()
    for method, path in (("DELETE", ""), ("GET", ""), ("GET", "/events"), ("POST", "/move")):
        answer = idle.ask(method, f"{JOBS}/{id}{path}")
        assert (answer.status, answer.code) == (404, "unknown")


def test_a_job_that_is_done_is_removed_too(server):
    job = server.separated(clip(0.2))
    assert server.ask("DELETE", f"{JOBS}/{job['id']}").status == 204
    assert job["id"] not in server.folders()
    assert server.get(job["stems"][0]["url"]).code == "unknown"


def test_stems_of_a_job_that_waits_are_not_there_yet(idle):
    id = queued(idle)["id"]
    for path in ("stems/vocals.wav", "stems/vocals.peaks", "mix.wav?vocals=1", "all.zip"):
        answer = idle.get(f"{JOBS}/{id}/{path}")
        assert (answer.status, answer.code) == (409, "not_done"), path


def test_a_job_that_failed_says_why(idle):
    id = queued(idle)["id"]
    while idle.store.take(long_too=True).id != id:
        pass
    idle.store.failed(id, "cut_off", "song.wav: ends early")
    job = idle.job(id)
    assert job["state"] == "failed"
    assert job["error"] == {"code": "cut_off", "message": "song.wav: ends early"}
    answer = idle.get(f"{JOBS}/{id}/all.zip")
    assert (answer.status, answer.code) == (409, "failed")


def test_models_are_listed_by_what_they_separate(server, tmp_path):
    found = server.get("/api/v1/models").json()
    assert found["default"] == "demo"
    ((task,), model) = found["tasks"], found["tasks"][0]["models"][0]
    assert task["stems"] == ["bass", "drums", "other", "vocals"]
    assert (model["name"], model["here"], model["licence"]) == (
        "demo",
        True,
        "MIT, like the program",
    )
    with listening(tmp_path / "data", models=()) as other:
        found = other.get("/api/v1/models").json()
    assert found["default"] == "x-umx"
    names = [model["name"] for task in found["tasks"] for model in task["models"]]
    assert sorted(names) == sorted(zoo.names())
    assert [t["task"] for t in found["tasks"]][:2] == ["4stems", "vocals"]
    four = found["tasks"][0]
    assert [m["name"] for m in four["models"]][:3] == list(TASKS["4stems"].models.values())
    assert four["what"] == TASKS["4stems"].what and four["models"][1]["licensed"]
    assert four["models"][1]["wishes"] == {"4stems": ["good"], "vocals": ["good"]}
    assert (four["models"][1]["megabytes"], four["models"][1]["seconds_per_minute"]) == (84, 30)
    assert (four["models"][1]["measured_on"], four["models"][1]["protocol"]) == ("cpu", "museval")
    lead, _ = (t for t in found["tasks"] if t["task"] == "karaoke")
    assert (lead["stems"], lead["residual"]) == (["vocals"], "instrumental")
    assert four["residual"] == "residual" and not lead["models"][0]["licensed"]
    (official,) = (m for t in found["tasks"] for m in t["models"] if m["name"] == "x-umx")
    assert official["mean_sdr_db"] == pytest.approx(5.7875) and "Apache" in official["licence"]


def test_limits_are_those_of_the_settings(idle):
    found = idle.get("/api/v1/limits").json()
    assert found["max_queue"] == 50 and found["max_bytes"] == 1 << 30
    assert found["formats"]["flac"] == ["16", "24"] and found["bitrates"]["opus"] == [192, 16, 510]


def test_health_and_readiness(server, idle):
    assert server.get("/healthz").json() == {"status": "ok"}
    assert server.get("/readyz").json() == {
        "status": "ready",
        "devices": ["cpu"],
        "models": ["demo"],
    }
    answer = idle.get("/readyz")
    assert (answer.status, answer.code) == (503, "not_ready") and "retry-after" in answer.headers


def test_metrics_are_counted(server, done):
    answer = server.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = dict(
        line.rsplit(" ", 1) for line in answer.body.decode().splitlines() if line[0] != "#"
    )
    assert float(lines['xumx_jobs{state="done"}']) >= 1
    assert float(lines["xumx_uploaded_bytes_total"]) >= len(clip())
    assert lines["xumx_ready"] == "1" and lines['xumx_device_info{device="cpu"}'] == "1"
    assert float(lines["process_resident_memory_bytes"]) > 1e8
    assert done["id"] not in answer.body.decode() and "Song" not in answer.body.decode()


@pytest.mark.parametrize("method, path, status, code", [
    ("GET", "/nothing", 404, "unknown"),
    ("GET", "/api/v1/jobs/", 404, "unknown"),
    ("GET", f"/api/v1/jobs/{UNKNOWN}", 404, "unknown"),
    ("GET", "/api/v1/jobs/..%2f..%2fetc", 404, "unknown"),
    ("GET", f"/api/v1/jobs/{UNKNOWN.upper()}", 404, "unknown"),
    ("DELETE", "/api/v1/models", 405, "not_allowed"),
    ("PATCH", "/api/v1/jobs", 405, "not_allowed"),
    ("GET", "/api/v1/jobs?limit=3", 400, "bad_option"),
    ("GET", "/api/v1/limits?x=", 400, "bad_option"),
])  # fmt: skip
def test_errors_have_one_form(idle, method, path, status, code):
    answer = idle.ask(method, path)
    assert (answer.status, answer.code) == (status, code)
    assert set(answer.json()) == {"error"} and "\n" not in answer.json()["error"]["message"]
    assert answer.headers["content-type"] == "application/json"


def test_head_is_get_without_a_body(server, done):
    for path in ("/healthz", "/docs", f"{JOBS}/{done['id']}", done["stems"][0]["url"], done["all"]):
        head, get = server.ask("HEAD", path), server.get(path)
        assert head.status == 200 and head.body == b""
        assert head.headers["content-length"] == str(len(get.body))


def test_the_page_of_the_interface_loads_nothing_from_elsewhere(idle):
    answer = idle.get("/docs")
    page = answer.body.decode()
    assert answer.headers["content-type"].startswith("text/html")
    assert re.findall(r'(?:src|href)="([^"#]+)"', page) == ["/docs.css", "/openapi.json"]
    assert "<script" not in page and " style=" not in page
    for path in idle.get("/openapi.json").json()["paths"]:
        assert path in page
    assert idle.get("/docs.css").headers["content-type"].startswith("text/css")
