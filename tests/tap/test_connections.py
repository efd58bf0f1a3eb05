"""Segments of whole connections in, the flows' frames out."""

from __future__ import annotations

import pytest
from wire import CLIENT, CLIENT_PORT, ENGINE, FIN, PORT, RST, SYN, Wire

from sidelight_sidecar.tap.limits import Limits

REQUEST, ANSWER = b"GET", b"200"


def test_connection_from_handshake_to_end() -> None:
    """What the relay would say of it: opened, bytes, both ends, closed."""
    wire = Wire().open()
    wire.client(1, 1, REQUEST).engine(1, 4).engine(1, 4, ANSWER).client(4, 4)
    wire.client(4, 4, flags=FIN).engine(4, 5, flags=FIN).client(5, 5)
    assert wire.shown == "O c:GET s:200 C S X"
    assert wire.opened() == [{"client": f"{CLIENT}:{CLIENT_PORT}", "engine": f"{ENGINE}:{PORT}"}]
    assert wire.times_ms == [3, 4, 6, 8, 9, 9]
    counters = wire.counters
    assert (counters.flows_opened, counters.flows_closed) == (1, 1)
    assert (counters.bytes_to_engine, counters.bytes_to_client) == (3, 3)
    assert counters.tap_flows_joined == counters.tap_segments_retransmitted == 0


def test_connection_is_told_of_when_it_is_made() -> None:
    """Not when it is asked for: a port scan opens no flow."""
    wire = Wire()
    wire.client(0, None, flags=SYN).client(0, None, flags=SYN).engine(0, 1, flags=SYN)
    assert wire.shown == ""
    wire.client(1, None, flags=RST).client(1, 1)
    assert wire.shown == ""
    wire.open()
    assert wire.shown == "O"


def test_handshake_whose_last_part_is_the_request() -> None:
    """The pure acknowledgment was not captured; nothing is missing."""
    wire = Wire().client(0, None, flags=SYN).engine(0, 1, flags=SYN)
    assert wire.client(1, 1, REQUEST).shown == "O c:GET"


def test_bytes_in_the_handshake() -> None:
    """TCP Fast Open, in both directions; repeated because it was not accepted, or not."""
    wire = Wire().client(0, None, b"GE", flags=SYN).engine(0, 3, b"2", flags=SYN)
    assert wire.engine(0, 3, b"2", flags=SYN).client(3, 2, b"T").shown == "O c:GE s:2 c:T"
    wire = Wire().client(0, None, b"GE", flags=SYN).engine(0, 1, flags=SYN)
    assert wire.client(1, 1, b"GET").shown == "O c:GE c:T"


def test_end_with_bytes() -> None:
    """FIN comes after the bytes in its segment."""
    wire = Wire().open().client(1, 1, REQUEST, flags=FIN)
    wire.engine(1, 5, ANSWER, flags=FIN)
    assert wire.shown == "O c:GET C s:200 S X"


def test_half_closed_connection_goes_on() -> None:
    """A client that says no more may still listen."""
    wire = Wire().open().client(1, 1, REQUEST, flags=FIN).engine(1, 5, b"2").engine(2, 5, b"00")
    assert wire.shown == "O c:GET C s:2 s:00"


@pytest.mark.parametrize("by_client", [True, False])
def test_reset_by_either_side(by_client: bool) -> None:
    """It says who it was, and ends the flow; late packets begin no new one."""
    wire = Wire().open().client(1, 1, REQUEST).engine(1, 4, b"20")
    wire.send(by_client, 4 if by_client else 3, 3 if by_client else 4, flags=RST)
    wire.engine(3, 4, b"0").client(4, 3, b"x").client(4, None, flags=RST)
    assert wire.shown == f"O c:GET s:20 R:{'client' if by_client else 'engine'} X"
    counters = wire.counters
    assert (counters.resets_client, counters.resets_engine) == (by_client, not by_client)
    assert counters.tap_flows_joined == 0


def test_reset_that_is_out_of_place_changes_nothing() -> None:
    """One that an attacker guesses, or that was long on its way."""
    wire = Wire().open().client(1, 1, b"x" * 500).engine(1, 501)
    wire.client(40, None, flags=RST).client(501, 1, b"y")
    assert wire.shown.endswith(" c:y")


def test_reset_when_something_is_missing_is_no_clean_end() -> None:
    """A gap first: what the client had got of the answer is not known."""
    wire = Wire().open().client(1, 1, REQUEST).engine(4, 4, b"tail").client(4, 1, flags=RST)
    assert wire.shown == "O c:GET G R:client X"


def test_refused_connection_is_what_the_relay_calls_connect() -> None:
    """The engine's port is closed."""
    wire = Wire().client(0, None, flags=SYN).engine(0, 1, flags=RST)
    assert wire.shown == "O R:connect X"
    assert wire.counters.connect_errors == 1
    assert wire.open().shown == "O R:connect X O"


def test_connection_that_was_open_before_begins_with_a_gap() -> None:
    """With its first bytes, of either side; bare acknowledgments and probes open nothing."""
    wire = Wire().client(900, 700).engine(700, 900).client(899, 700)
    wire.engine(700, 900, flags=FIN).client(1, None, flags=RST)
    assert wire.shown == ""
    wire.engine(700, 900, ANSWER).client(900, 703, REQUEST).engine(703, 903, ANSWER)
    assert wire.shown == "O G s:200 c:GET s:200"
    assert wire.counters.tap_flows_joined == 1
    assert wire.counters.tap_gaps_not_captured == 0


def test_handshake_of_which_a_part_was_not_captured() -> None:
    """Something may be missing: joined midway."""
    assert Wire().client(0, None, flags=SYN).client(1, 1, REQUEST).shown == "O G c:GET"
    assert Wire().engine(0, 1, flags=SYN).client(1, 1, REQUEST).shown == "O G c:GET"
    answered_at_once = Wire().client(0, None, flags=SYN).engine(1, 4, ANSWER)
    assert answered_at_once.shown == "O G s:200"


def test_repeated_handshake_changes_nothing() -> None:
    """The client's last word was lost behind us: the engine says its own again."""
    wire = Wire().open().engine(0, 1, flags=SYN).client(1, 1, REQUEST)
    wire.client(0, None, flags=SYN).engine(1, 4, ANSWER)
    assert wire.shown == "O c:GET s:200"


def test_addresses_that_are_used_anew() -> None:
    """The old connection ended unseen: with a gap, so that nothing is concluded from its end."""
    wire = Wire().open().client(1, 1, REQUEST)
    wire.isn = (77_000, 99_000)
    wire.client(0, None, flags=SYN)
    assert wire.shown == "O c:GET"
    wire.engine(0, 1, flags=SYN).client(1, 1).client(1, 1, b"NEW")
    assert wire.shown == "O c:GET G X O c:NEW"
    assert wire.counters.tap_flows_replaced == 1


def test_addresses_that_are_used_anew_unanswered() -> None:
    """The engine's answer to the new SYN was not captured."""
    wire = Wire().open().client(1, 1, REQUEST)
    wire.isn = (77_000, 99_000)
    wire.client(0, None, flags=SYN).client(1, 1, b"NEW").engine(1, 4, ANSWER)
    assert wire.shown == "O c:GET G X O G c:NEW s:200"


def test_syn_in_an_open_connection_that_the_engine_does_not_take() -> None:
    """Old or forged: the engine answers with a bare acknowledgment, and all goes on."""
    wire = Wire().open().client(1, 1, REQUEST)
    wire.client(70_000, None, flags=SYN).engine(1, 4).engine(1, 4, ANSWER)
    assert wire.shown == "O c:GET s:200"


def test_new_connection_right_after_the_old_one() -> None:
    """From the same port: a flow of its own."""
    wire = Wire().open().client(1, 1, flags=FIN).engine(1, 2, flags=FIN).client(2, 2)
    wire.isn = (9, 8)
    assert wire.open().client(1, 1, REQUEST).shown == "O C S X O c:GET"
    assert [frame[0] for frame in wire.out.frames] == [1, 1, 1, 1, 2, 2]


def test_lost_bytes_are_a_gap_before_the_answer_to_them() -> None:
    """The engine's acknowledgment says that it has what we have not."""
    wire = Wire().open().engine(1, 4, ANSWER).client(4, 4, b"POST").engine(4, 8, b"201")
    assert wire.shown == "O G s:200 c:POST s:201"
    assert wire.counters.tap_gaps_not_captured == 1
    assert wire.counters.tap_bytes_lost == 3


def test_what_waited_for_lost_bytes_comes_before_the_answer_with_its_own_time() -> None:
    """The engine did not wait: it had them all."""
    wire = Wire().open().client(4, 1, b"POST", at_ms=10).engine(1, 8, ANSWER, at_ms=20)
    assert wire.shown == "O G c:POST s:200"
    assert wire.times_ms == [3, 10, 10, 20]
    assert wire.counters.tap_segments_out_of_order == 1


def test_out_of_order_on_the_network_is_no_gap() -> None:
    """The engine says that it waits too."""
    wire = Wire().open().client(4, 1, b"POST").engine(1, 1).client(1, 1, REQUEST)
    assert wire.shown == "O c:GET c:POST"
    assert wire.counters.tap_gaps_not_captured == 0


def test_request_that_waited_does_not_come_after_the_loss_of_its_answer() -> None:
    """The client has an answer that was not captured: its request, still waiting, comes first."""
    wire = Wire().open().client(4, 1, b"POST").client(8, 50)
    assert wire.shown == "O G c:POST G"


def test_time_does_not_go_back_within_a_flow() -> None:
    """Neither a late stamp nor what waited for a hole moves it."""
    wire = Wire().open().client(1, 1, REQUEST, at_ms=50).engine(1, 4, ANSWER, at_ms=49)
    wire.client(5, 4, b"b", at_ms=51).engine(4, 4, b"x", at_ms=60).engine(5, 6, at_ms=61)
    assert wire.shown == "O c:GET s:200 s:x G c:b"
    assert wire.times_ms == sorted(wire.times_ms)


def test_hole_that_lasts_is_given_up() -> None:
    """Acknowledgments may be missing too; the next request is picked up."""
    wire = Wire(Limits(hole_seconds=1)).open().client(4, 1, b"POST", at_ms=10)
    wire.connections.tick(1_009_000_000)
    assert wire.shown == "O"
    wire.connections.tick(1_011_000_000)
    assert wire.shown == "O G c:POST"
    assert wire.counters.tap_gaps_timeout == 1


def test_reset_behind_a_hole_ends_the_flow_in_time() -> None:
    """An engine would ask the client for another; if none comes, it was the last word."""
    wire = Wire(Limits(hole_seconds=1)).open().client(4, 1, flags=RST, at_ms=10)
    assert wire.shown == "O"
    wire.connections.tick(1_011_000_000)
    assert wire.shown == "O G R:client X"
    assert len(wire.connections) == 0


def test_hole_with_too_much_behind_it_is_given_up() -> None:
    """The bytes that wait are bounded, for one direction and for all."""
    for limits in (Limits(stream_bytes=1000), Limits(total_bytes=1000)):
        wire = Wire(limits).open()
        for place in range(10, 1000, 100):
            wire.engine(place, 1, b"x" * 100)
        assert wire.shown.startswith("O G s:x")
        assert wire.counters.tap_gaps_buffer_full == 1
        assert wire.counters.tap_bytes_lost == 9
        assert wire.counters.bytes_to_client == 1000


def test_what_waited_in_a_connection_that_is_over_counts_no_more() -> None:
    """However it ended: with a reset, or because its addresses were used anew."""
    wire = Wire(Limits(total_bytes=1000)).open()
    for number in range(1, 20):
        wire.engine(10, 1, b"x" * 300)
        if number % 2:
            wire.client(1, None, flags=RST)
        wire.isn = (number * 77_000, number * 99_000)
        wire.open()
    assert wire.counters.tap_gaps_buffer_full == 0
    assert wire.counters.flows_closed == 19


def test_idle_connection_is_forgotten_and_found_again() -> None:
    """Its next request is picked up like that of any other that was open before."""
    wire = Wire(Limits(idle_seconds=1)).open().client(1, 1, REQUEST).engine(1, 4, ANSWER)
    wire.connections.tick(2_000_000_000)
    assert wire.shown == "O c:GET s:200 G X"
    wire.connections.tick(9_000_000_000)
    assert wire.client(4, 4, REQUEST, at_ms=9000).shown.endswith("G X O G c:GET")


def test_connections_are_bounded() -> None:
    """Past the limit they are counted and not followed."""
    wire = Wire(Limits(connections=1)).open()
    wire.key = wire.key[:-1] + b"\x41"
    wire.open().client(1, 1, REQUEST)
    assert wire.shown == "O"
    assert wire.counters.tap_flows_not_followed == 2
    assert wire.counters.flows_opened == 1


def test_handshakes_are_bounded() -> None:
    """A flood of SYNs costs memory for some thousand; those after it are seen all the same."""
    wire = Wire().client(0, None, flags=SYN).engine(0, 1, flags=SYN)
    first = wire.key
    for number in range(5000):
        wire.key = first[:-2] + number.to_bytes(2, "big")
        wire.client(0, None, flags=SYN)
    wire.engine(0, 1, flags=SYN).client(1, 1, REQUEST)
    assert wire.shown == "O c:GET"
    wire.key = first
    assert wire.client(1, 1, REQUEST).shown == "O c:GET O G c:GET"


def test_keep_alive_probes_and_their_answers_say_nothing() -> None:
    """Neither bytes nor repeated segments."""
    wire = Wire().open().client(1, 1, REQUEST).engine(1, 4, ANSWER).client(4, 4)
    for _ in range(3):
        wire.client(3, 4).engine(4, 4).client(3, 4, b"\0").engine(4, 4)
    assert wire.shown == "O c:GET s:200"
    assert wire.counters.tap_segments_retransmitted == 0


def test_repeated_segments_are_counted() -> None:
    """Of data, not of ends."""
    wire = Wire().open().client(1, 1, REQUEST).client(1, 1, REQUEST).client(4, 1, flags=FIN)
    wire.client(4, 1, flags=FIN)
    assert wire.shown == "O c:GET C"
    assert wire.counters.tap_segments_retransmitted == 1


def test_segment_larger_than_64_kib() -> None:
    """GRO and TSO make them, BIG TCP up to half a megabyte; one frame each."""
    wire = Wire().open().engine(1, 1, b"x" * 190_000).engine(190_001, 1, b"y")
    assert [len(frame[4]) for frame in wire.out.frames[1:]] == [190_000, 1]


def test_segment_captured_in_part() -> None:
    """The rest of it is a hole."""
    wire = Wire().open().engine(1, 1, b"abc", length=5).engine(6, 1, b"f").client(1, 7)
    assert wire.shown == "O s:abc G s:f"
    assert wire.counters.tap_bytes_lost == 2
