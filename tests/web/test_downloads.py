"""Stems, mixes and zips as they are downloaded."""

from serving import path_of


def test_a_stem_is_an_attachment_with_the_songs_name(server, done):
    answer = server.get(path_of(done, "vocals"))
    assert answer.status == 200 and answer.body[:4] == b"RIFF"
    assert "filename*=UTF-8''Song%20A%20%28vocals%29.wav" in answer.headers["content-disposition"]
