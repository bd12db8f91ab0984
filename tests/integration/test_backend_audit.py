"""What sidecars refuse is in the backend's audit log."""

import pytest


pytestmark = pytest.mark.timeout(180)

AUDIT = "/v1/runtime/audit"


def test_audit_of_sidecars(shared):
    shared.submit(agent="audit")
    agent = shared.agent(name="audit")
    claim = agent.claim()
    sidecar = shared.sidecar(claim)
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    trace = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    assert sidecar.post(AUDIT, {"action": "token.refused",
                                "code": "token_invalid"}, **trace
                        ).status == 204
    assert sidecar.post(AUDIT, {"action": "call.refused",
                                "code": "key_forbidden", "target": "team/x"}
                        ).status == 204
    for body in (b"", b"[]", b"x", {"action": "token.refused"},
                 {"action": "job.submit", "code": "ok"},
                 {"action": "token.refused", "code": "key_forbidden"},
                 {"action": "token.refused", "code": 1},
                 {"action": "call.refused", "code": "key_forbidden",
                  "target": "a b"}):
        reply = sidecar.post(AUDIT, body)
        assert reply.status == 400, (body, reply)
    entries = shared.admin.get(f"/v1/audit?execution={claim.id}"
                               ).json["entries"]
    assert [(e["action"], e["result"], e["target"], e["who"], e["job"])
            for e in entries] == [
        ("call.refused", "key_forbidden", "team/x", f"execution:{claim.id}",
         claim.job),
        ("token.refused", "token_invalid", None, f"execution:{claim.id}",
         claim.job)]
    assert entries[1]["trace_id"] == trace_id
    assert shared.admin.post(AUDIT, {}).status == 403
    agent.close()


def test_audit_of_sidecars_is_bounded(backend):
    """60 a minute of one execution, and one entry that counts the rest."""
    agent = backend.agent()
    claims = []
    for _ in range(2):
        backend.submit()
        claims.append(agent.claim())
    body = {"action": "token.refused", "code": "token_expired"}
    for n, claim in zip((100, 60), claims):
        sidecar = backend.sidecar(claim)
        for _ in range(n):
            assert sidecar.post(AUDIT, body).status == 204
    assert backend.stop() == 0
    backend.start()
    got = [[e for e in backend.admin.get(
        f"/v1/audit?execution={c.id}&limit=1000").json["entries"]]
        for c in claims]
    assert [len(g) for g in got] == [61, 60]
    assert (got[0][0]["action"], got[0][0]["target"]) == \
        ("refusals.counted", "40 more within a minute")
    assert {e["action"] for e in got[0][1:] + got[1]} == {"token.refused"}
