"""Receivers that other tests believe in."""

from __future__ import annotations

import socket

from claimkit.testing.receivers import Receiver, answer, answering


def test_what_arrives_in_pieces_is_one_request():
    with (
        Receiver(answering(answer(204))) as receiver,
        socket.create_connection(("127.0.0.1", receiver.port)) as client,
    ):
        client.sendall(b"POST /hook HTTP/1.1\r\nContent-Length: 11\r\n\r\nmarsu")
        client.sendall(b"pilami")
        reply = client.recv(4_096)

    assert reply.startswith(b"HTTP/1.1 204 ")
    assert [body for _, body in receiver.requests] == [b"marsupilami"]


def test_a_request_that_breaks_off_is_none():
    with Receiver(answering(answer(204))) as receiver:
        with socket.create_connection(("127.0.0.1", receiver.port)) as client:
            client.sendall(b"POST /hook HTTP/1.1\r\nContent-Length: 11\r\n\r\nmarsu")
            client.shutdown(socket.SHUT_WR)
            reply = client.recv(4_096)

        assert (reply, receiver.requests, receiver.connections) == (b"", [], 1)
