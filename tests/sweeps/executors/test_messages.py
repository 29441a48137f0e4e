import math
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.executors.messages import Inbox, Line, encode

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=5), st.integers(1, 50))
def test_messages_arrive_whole_and_in_order_whatever_the_pieces(messages: list[dict[str, object]], size: int) -> None:
    content = b"".join(map(encode, messages))
    inbox = Inbox()
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    assert [message for piece in pieces for message in inbox.feed(piece)] == messages


def test_half_a_message_is_none() -> None:
    inbox = Inbox()
    assert list(inbox.feed(encode({"a": 1}) + encode({"b": 2})[:-1])) == [{"a": 1}]


def test_a_message_may_hold_what_a_diverged_training_gives() -> None:
    (message,) = Inbox().feed(encode({"value": math.nan, "values": [math.inf, -math.inf]}))
    assert math.isnan(message["value"])
    assert message["values"] == [math.inf, -math.inf]


def test_what_is_no_json_is_refused_and_not_guessed() -> None:
    with pytest.raises(TypeError):
        encode({"value": object()})


def test_a_line_gives_what_was_sent_before_its_end() -> None:
    line, end = Line.pair()
    end.sendall(encode({"a": 1}) + struct.pack("!I", 100) + b"half")
    end.close()
    assert list(line.receive()) == [{"a": 1}]
    assert not line.is_open
    assert line.send({"b": 2}), "an end that is gone is told of by what it was the end of"
    line.close()


def test_a_message_larger_than_any_buffer_is_sent_whole() -> None:
    import threading

    line, end = Line.pair()
    received: list[bytes] = []

    def read() -> None:
        while piece := end.recv(2**16):
            received.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    message = {"text": "x" * 5_000_000}
    assert line.send(message)
    line.close()
    reader.join()
    end.close()
    assert b"".join(received) == encode(message)


def test_an_end_that_takes_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.executors.messages.SEND_SECONDS", 0.05)
    line, end = Line.pair()
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    assert not line.send({"text": "x" * 5_000_000})
    line.close()
    end.close()
