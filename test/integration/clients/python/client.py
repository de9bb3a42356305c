"""Does with the Python client what every client is asked to do. Prints one line of JSON a scenario: what it saw.

Arguments: connection strings of a writer, of a reader, of nobody that is known, and one without TLS.
"""

from __future__ import annotations

import json
import sys
import time
import traceback

from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient import exceptions as errors

deadline_s = 20
looks_max = 200

named_errors = [
    (errors.WrongCurrentVersionError, "wrong-expected-version"),
    (errors.StreamIsDeletedError, "stream-deleted"),
    (errors.AccessDeniedError, "access-denied"),
    (errors.UnauthenticatedError, "access-denied"),
    (errors.AlreadyExistsError, "exists"),
    (errors.NotFoundError, "not-found"),
]


def error_of(call) -> str:
    """The name of the error that the client made of a refusal."""
    try:
        call()
    except Exception as error:  # noqa: BLE001
        for kind, name in named_errors:
            if isinstance(error, kind):
                return name
        # This client has no error of its own for a single append to a stream that is ended.
        if isinstance(error, errors.FailedPreconditionError) and "is deleted" in str(error):
            return "stream-deleted"
        return f"{type(error).__name__}: {error}"
    return "none"


def numbered(count: int, first: int = 0) -> list[NewEvent]:
    return [
        NewEvent(type="placed", data=f'{{"n":{n}}}'.encode(), metadata=b'{"by":"hand"}')
        for n in range(first, first + count)
    ]


def revisions(events) -> list[int]:
    return [event.stream_position for event in events]


def appends(writer: KurrentDBClient, **_):
    stream = "appends"

    def append(events, current_version):
        return writer.append_to_stream(stream, events=events, current_version=current_version)

    single = numbered(1, 2)[0]
    append(numbered(2), StreamState.NO_STREAM)
    append(single, 1)
    append(numbered(1, 3), StreamState.EXISTS)
    append(numbered(1, 4)[0], StreamState.ANY)
    append(single, 1)
    writer.append_to_stream("appends-many", events=numbered(500), current_version=StreamState.NO_STREAM)
    return {
        "revisions": revisions(writer.get_stream(stream)),
        "none": error_of(lambda: append(numbered(1), StreamState.NO_STREAM)),
        "noneSingle": error_of(lambda: append(numbered(1)[0], StreamState.NO_STREAM)),
        "exact": error_of(lambda: append(numbered(1), 0)),
        "exists": error_of(
            lambda: writer.append_to_stream("appends-x", events=numbered(1), current_version=StreamState.EXISTS)
        ),
        "many": len(writer.get_stream("appends-many")),
    }


def reads(writer: KurrentDBClient, reader: KurrentDBClient, **_):
    stream = "reads"
    writer.append_to_stream(stream, events=numbered(4), current_version=StreamState.NO_STREAM)
    binary = NewEvent(type="sealed", data=bytes([0, 255, 7]), content_type="application/octet-stream")
    writer.append_to_stream(stream, events=binary, current_version=3)
    events = reader.get_stream(stream)
    last = events[-1]

    def of_all(**options):
        return revisions(event for event in reader.read_all(**options) if event.stream_name == stream)

    position = events[2].commit_position
    return {
        "forwards": revisions(events),
        "backwards": revisions(reader.get_stream(stream, backwards=True)),
        "from": revisions(reader.get_stream(stream, stream_position=1, limit=2)),
        "before": revisions(reader.get_stream(stream, stream_position=2, backwards=True, limit=2)),
        "data": events[3].data.decode(),
        "metadata": events[3].metadata.decode(),
        "contentType": events[3].content_type,
        "binary": list(last.data),
        "binaryType": last.content_type,
        "time": int(last.recorded_at.timestamp() * 1000),
        "all": of_all(),
        "allBackwards": of_all(backwards=True),
        "allFrom": of_all(commit_position=position),
        "missing": error_of(lambda: reader.get_stream("reads-x")),
    }


def refusals(writer: KurrentDBClient, reader: KurrentDBClient, stranger: KurrentDBClient, **_):
    def append(client: KurrentDBClient, stream: str, events):
        return error_of(lambda: client.append_to_stream(stream, events=events, current_version=StreamState.ANY))

    return {
        "stranger": error_of(lambda: stranger.get_stream("reads")),
        "reader": append(reader, "refusals", numbered(1)),
        "readerSingle": append(reader, "refusals", numbered(1)[0]),
        "reserved": append(writer, "asset-x", numbered(1)),
        "groups": error_of(lambda: reader.create_subscription_to_stream("workers", "refusals")),
    }


def plain(plain: KurrentDBClient, **_):
    plain.append_to_stream("plain", events=numbered(2), current_version=StreamState.NO_STREAM)
    return {"revisions": revisions(plain.get_stream("plain"))}


def subscriptions(writer: KurrentDBClient, reader: KurrentDBClient, **_):
    stream = "subscriptions"
    writer.append_to_stream(stream, events=numbered(3), current_version=StreamState.NO_STREAM)
    writer.append_to_stream("other", events=numbered(40), current_version=StreamState.NO_STREAM)
    seen: list[int | str] = []
    with reader.subscribe_to_stream(stream, include_caught_up=True, timeout=deadline_s) as live:
        for event in live:
            if event.is_caught_up:
                seen.append("caught-up")
                writer.append_to_stream(stream, events=numbered(1, 3), current_version=2)
            else:
                seen.append(event.stream_position)
            if len(seen) == 5:
                break
    with reader.subscribe_to_stream(stream, stream_position=1, timeout=deadline_s) as later:
        behind = [next(later).stream_position, next(later).stream_position]

    def of_all(commit_position=None, stop="caught-up"):
        types, checkpoint = [], None
        with reader.subscribe_to_all(
            commit_position=commit_position,
            filter_include=[stream],
            filter_by_stream_name=True,
            filter_by_prefix=True,
            include_checkpoints=True,
            include_caught_up=True,
            window_size=1,
            checkpoint_interval_multiplier=10,
            timeout=deadline_s,
        ) as filtered:
            for event in filtered:
                if event.is_checkpoint:
                    checkpoint = event.commit_position
                elif event.is_caught_up:
                    if stop == "caught-up":
                        break
                else:
                    types.append(event.stream_position)
                    if stop == event.stream_position:
                        break
        return types, checkpoint

    found, checkpoint = of_all()
    writer.append_to_stream(stream, events=numbered(1, 4), current_version=3)
    resumed, _ = of_all(checkpoint, 4)
    return {
        "stream": seen,
        "behind": behind,
        "all": found,
        "checkpoint": checkpoint is not None,
        # What lies behind the checkpoint comes again, what lies before it does not.
        "resumed": resumed[-1:],
        "missed": len(resumed) > 2,
    }


def groups(writer: KurrentDBClient, **_):
    stream, group = "groups", "workers"
    writer.append_to_stream(stream, events=numbered(4), current_version=StreamState.NO_STREAM)

    def create():
        writer.create_subscription_to_stream(group, stream, consumer_strategy="RoundRobin", min_checkpoint_count=1)

    def info():
        return writer.get_subscription_info(group, stream)

    create()
    deliveries = []
    with writer.read_subscription_to_stream(group, stream, timeout=deadline_s) as consumer:
        for event in consumer:
            revision = event.stream_position
            if revision == 1 and event.retry_count == 0:
                consumer.nack(event, "retry")
                deliveries.append("1 retried")
            elif revision == 2:
                consumer.nack(event, "park")
                deliveries.append("2 parked")
            else:
                consumer.ack(event)
                deliveries.append(f"{revision} acked")
            if len(deliveries) == 5:
                break
    parked = until(lambda: info().parked_message_count)
    with writer.read_subscription_to_stream(group, stream, timeout=deadline_s) as consumer:
        writer.replay_parked_events(group, stream)
        event = next(consumer)
        consumer.ack(event)
        replayed = event.stream_position
    until(lambda: info().parked_message_count == 0)
    told = info()
    exists = error_of(create)
    listed = [(one.group_name, one.event_source) for one in writer.list_subscriptions_to_stream(stream)]
    writer.create_subscription_to_all(
        "all", filter_include=["groups"], filter_by_stream_name=True, consumer_strategy="RoundRobin"
    )
    with writer.read_subscription_to_all("all", timeout=deadline_s) as consumer:
        of_all = []
        for event in consumer:
            consumer.ack(event)
            of_all.append(event.stream_position)
            if len(of_all) == 4:
                break
    writer.delete_subscription(group, stream)
    writer.delete_subscription("all")
    return {
        "deliveries": sorted(deliveries),
        "parked": parked,
        "replayed": replayed,
        "info": [told.group_name, told.event_source, told.consumer_strategy],
        "exists": exists,
        "listed": [list(one) for one in listed],
        "all": of_all,
        "deleted": error_of(info),
        "missing": error_of(lambda: next(writer.read_subscription_to_stream("x", stream))),
    }


def until(look):
    for _ in range(looks_max):
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError


def deletion(writer: KurrentDBClient, **_):
    stream = "deletion"

    def append():
        return writer.append_to_stream(stream, events=numbered(1), current_version=StreamState.ANY)

    writer.append_to_stream(stream, events=numbered(2), current_version=StreamState.NO_STREAM)
    conflict = error_of(lambda: writer.delete_stream(stream, current_version=0))
    writer.delete_stream(stream, current_version=1)
    deleted = error_of(lambda: writer.get_stream(stream))
    writer.append_to_stream(stream, events=numbered(1), current_version=StreamState.NO_STREAM)
    begun = revisions(writer.get_stream(stream))
    writer.tombstone_stream(stream, current_version=2)
    return {
        "conflict": conflict,
        "deleted": deleted,
        "begunAgain": begun,
        "read": error_of(lambda: writer.get_stream(stream)),
        "append": error_of(append),
        "appendSingle": error_of(
            lambda: writer.append_to_stream(stream, events=numbered(1)[0], current_version=StreamState.ANY)
        ),
        "again": error_of(lambda: writer.tombstone_stream(stream, current_version=StreamState.ANY)),
    }


def metadata(writer: KurrentDBClient, **_):
    stream = "metadata"
    writer.append_to_stream(stream, events=numbered(5), current_version=StreamState.NO_STREAM)
    none, _ = writer.get_stream_metadata(stream)
    for count in (3, 2):
        writer.set_stream_metadata(stream, metadata={"$maxCount": count, "owner": "ada"})
    told, _ = writer.get_stream_metadata(stream)
    return {
        "none": none == {},
        "maxCount": told["$maxCount"],
        "owner": told["owner"],
        "shown": revisions(writer.get_stream(stream)),
    }


def main() -> None:
    connections = dict(zip(("writer", "reader", "stranger", "plain"), sys.argv[1:], strict=True))
    clients = {name: KurrentDBClient(connection) for name, connection in connections.items()}
    for scenario in (appends, reads, refusals, plain, subscriptions, groups, deletion, metadata):
        try:
            line = {"scenario": scenario.__name__, "seen": scenario(**clients)}
        except Exception:  # noqa: BLE001
            line = {"scenario": scenario.__name__, "failed": traceback.format_exc()}
        print(json.dumps(line), flush=True)
    for client in clients.values():
        client.close()


if __name__ == "__main__":
    main()
