import com.fasterxml.jackson.databind.ObjectMapper;
import io.grpc.StatusRuntimeException;
import io.kurrent.dbclient.AppendToStreamOptions;
import io.kurrent.dbclient.DeleteStreamOptions;
import io.kurrent.dbclient.EventData;
import io.kurrent.dbclient.EventDataBuilder;
import io.kurrent.dbclient.KurrentDBClient;
import io.kurrent.dbclient.KurrentDBConnectionString;
import io.kurrent.dbclient.ReadAllOptions;
import io.kurrent.dbclient.ReadStreamOptions;
import io.kurrent.dbclient.RecordedEvent;
import io.kurrent.dbclient.ResourceNotFoundException;
import io.kurrent.dbclient.StreamDeletedException;
import io.kurrent.dbclient.StreamMetadata;
import io.kurrent.dbclient.StreamNotFoundException;
import io.kurrent.dbclient.StreamState;
import io.kurrent.dbclient.WrongExpectedVersionException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

/**
 * Does with the Java client what every client is asked to do. Prints one line of JSON a scenario: what it saw.
 *
 * <p>Arguments: connection strings of a writer, of a reader, of nobody that is known, and one without TLS.
 */
final class Client {
  static final long DEADLINE_SECONDS = 20;

  record Clients(
      KurrentDBClient writer, KurrentDBClient reader, KurrentDBClient stranger, KurrentDBClient plain) {}

  interface Scenario {
    Map<String, Object> see(Clients clients) throws Exception;
  }

  interface Asking {
    CompletableFuture<?> ask() throws Exception;
  }

  static <T> T done(CompletableFuture<T> future) throws Exception {
    return future.get(DEADLINE_SECONDS, TimeUnit.SECONDS);
  }

  static Map<String, Object> seen(Object... pairs) {
    Map<String, Object> named = new LinkedHashMap<>();
    for (int at = 0; at < pairs.length; at += 2) named.put((String) pairs[at], pairs[at + 1]);
    return named;
  }

  /** The name of the error that the client made of a refusal. */
  static String errorOf(Asking asking) {
    try {
      done(asking.ask());
      return "none";
    } catch (ExecutionException failed) {
      return nameOf(failed.getCause());
    } catch (Exception failed) {
      return nameOf(failed);
    }
  }

  private static String nameOf(Throwable error) {
    if (error instanceof WrongExpectedVersionException) return "wrong-expected-version";
    if (error instanceof StreamDeletedException) return "stream-deleted";
    if (error instanceof StreamNotFoundException || error instanceof ResourceNotFoundException)
      return "not-found";
    if (error instanceof StatusRuntimeException status)
      switch (status.getStatus().getCode()) {
        case PERMISSION_DENIED, UNAUTHENTICATED:
          return "access-denied";
        case ALREADY_EXISTS:
          return "exists";
        case NOT_FOUND:
          return "not-found";
        case FAILED_PRECONDITION:
          // This client has no error of its own for reading a stream that is ended.
          if (status.getMessage().contains("is deleted")) return "stream-deleted";
          break;
        default:
      }
    return String.valueOf(error);
  }

  static EventData[] numbered(int first, int count) {
    EventData[] events = new EventData[count];
    for (int at = 0; at < count; at += 1) {
      byte[] data = ("{\"n\":" + (first + at) + "}").getBytes(StandardCharsets.UTF_8);
      byte[] metadata = "{\"by\":\"hand\"}".getBytes(StandardCharsets.UTF_8);
      events[at] = EventDataBuilder.json(UUID.randomUUID(), "placed", data).metadataAsBytes(metadata).build();
    }
    return events;
  }

  static CompletableFuture<?> append(
      KurrentDBClient client, String stream, StreamState state, EventData... events) {
    return client.appendToStream(stream, AppendToStreamOptions.get().streamState(state), events);
  }

  static List<RecordedEvent> read(KurrentDBClient client, String stream, ReadStreamOptions options)
      throws Exception {
    List<RecordedEvent> events = new ArrayList<>();
    done(client.readStream(stream, options)).getEvents().forEach(one -> events.add(one.getEvent()));
    return events;
  }

  static List<RecordedEvent> read(KurrentDBClient client, String stream) throws Exception {
    return read(client, stream, ReadStreamOptions.get());
  }

  static List<Long> revisions(List<RecordedEvent> events) {
    return events.stream().map(RecordedEvent::getRevision).toList();
  }

  private static Map<String, Object> appends(Clients c) throws Exception {
    String stream = "appends";
    EventData single = numbered(2, 1)[0];
    done(append(c.writer, stream, StreamState.noStream(), numbered(0, 2)));
    done(append(c.writer, stream, StreamState.streamRevision(1), single));
    done(append(c.writer, stream, StreamState.streamExists(), numbered(3, 1)));
    done(append(c.writer, stream, StreamState.any(), numbered(4, 1)));
    done(append(c.writer, stream, StreamState.streamRevision(1), single));
    done(append(c.writer, "appends-many", StreamState.noStream(), numbered(0, 500)));
    return seen(
        "revisions", revisions(read(c.writer, stream)),
        "none", errorOf(() -> append(c.writer, stream, StreamState.noStream(), numbered(0, 2))),
        "noneSingle", errorOf(() -> append(c.writer, stream, StreamState.noStream(), numbered(0, 1))),
        "exact", errorOf(() -> append(c.writer, stream, StreamState.streamRevision(0), numbered(0, 1))),
        "exists", errorOf(() -> append(c.writer, "appends-x", StreamState.streamExists(), numbered(0, 1))),
        "many", read(c.writer, "appends-many").size());
  }

  private static Map<String, Object> reads(Clients c) throws Exception {
    String stream = "reads";
    done(append(c.writer, stream, StreamState.noStream(), numbered(0, 4)));
    EventData binary = EventDataBuilder.binary("sealed", new byte[] {0, (byte) 255, 7}).build();
    done(append(c.writer, stream, StreamState.streamRevision(3), binary));
    List<RecordedEvent> events = read(c.reader, stream);
    RecordedEvent last = events.get(4);
    List<Integer> bytes = new ArrayList<>();
    for (byte one : last.getEventData()) bytes.add(one & 255);
    ReadStreamOptions from = ReadStreamOptions.get().fromRevision(1).maxCount(2);
    ReadStreamOptions before = ReadStreamOptions.get().backwards().fromRevision(2).maxCount(2);
    return seen(
        "forwards", revisions(events),
        "backwards", revisions(read(c.reader, stream, ReadStreamOptions.get().backwards().fromEnd())),
        "from", revisions(read(c.reader, stream, from)),
        "before", revisions(read(c.reader, stream, before)),
        "data", new String(events.get(3).getEventData(), StandardCharsets.UTF_8),
        "metadata", new String(events.get(3).getUserMetadata(), StandardCharsets.UTF_8),
        "contentType", events.get(3).getContentType(),
        "binary", bytes,
        "binaryType", last.getContentType(),
        "time", last.getCreated().toEpochMilli(),
        "all", ofAll(c, stream, ReadAllOptions.get().fromStart()),
        "allBackwards", ofAll(c, stream, ReadAllOptions.get().backwards().fromEnd()),
        "allFrom", ofAll(c, stream, ReadAllOptions.get().fromPosition(events.get(2).getPosition())),
        "missing", errorOf(() -> c.reader.readStream("reads-x", ReadStreamOptions.get())));
  }

  private static List<Long> ofAll(Clients c, String stream, ReadAllOptions options) throws Exception {
    List<RecordedEvent> events = new ArrayList<>();
    done(c.reader.readAll(options)).getEvents().forEach(one -> events.add(one.getEvent()));
    return revisions(events.stream().filter(event -> event.getStreamId().equals(stream)).toList());
  }

  private static Map<String, Object> refusals(Clients c) throws Exception {
    return seen(
        "stranger", errorOf(() -> c.stranger.readStream("reads", ReadStreamOptions.get())),
        "reader", errorOf(() -> append(c.reader, "refusals", StreamState.any(), numbered(0, 2))),
        "readerSingle", errorOf(() -> append(c.reader, "refusals", StreamState.any(), numbered(0, 1))),
        "reserved", errorOf(() -> append(c.writer, "asset-x", StreamState.any(), numbered(0, 1))),
        "groups", errorOf(() -> Subscriptions.of(c.reader).createToStream("refusals", "workers")));
  }

  private static Map<String, Object> plain(Clients c) throws Exception {
    done(append(c.plain, "plain", StreamState.noStream(), numbered(0, 2)));
    return seen("revisions", revisions(read(c.plain, "plain")));
  }

  private static Map<String, Object> deletion(Clients c) throws Exception {
    String stream = "deletion";
    done(append(c.writer, stream, StreamState.noStream(), numbered(0, 2)));
    String conflict = errorOf(() -> c.writer.deleteStream(stream, DeleteStreamOptions.get().streamRevision(0)));
    done(c.writer.deleteStream(stream, DeleteStreamOptions.get().streamRevision(1)));
    String deleted = errorOf(() -> c.writer.readStream(stream, ReadStreamOptions.get()));
    done(append(c.writer, stream, StreamState.noStream(), numbered(0, 1)));
    List<Long> begun = revisions(read(c.writer, stream));
    done(c.writer.tombstoneStream(stream, DeleteStreamOptions.get().streamRevision(2)));
    return seen(
        "conflict", conflict,
        "deleted", deleted,
        "begunAgain", begun,
        "read", errorOf(() -> c.writer.readStream(stream, ReadStreamOptions.get())),
        "append", errorOf(() -> append(c.writer, stream, StreamState.any(), numbered(0, 2))),
        "appendSingle", errorOf(() -> append(c.writer, stream, StreamState.any(), numbered(0, 1))),
        "again", errorOf(() -> c.writer.tombstoneStream(stream)));
  }

  private static Map<String, Object> metadata(Clients c) throws Exception {
    String stream = "metadata";
    done(append(c.writer, stream, StreamState.noStream(), numbered(0, 5)));
    StreamMetadata none = done(c.writer.getStreamMetadata(stream));
    for (long count = 3; count >= 2; count -= 1) {
      StreamMetadata wanted = new StreamMetadata();
      wanted.setMaxCount(count);
      wanted.setCustomProperties(new java.util.HashMap<>(Map.of("owner", "ada")));
      done(c.writer.setStreamMetadata(stream, wanted));
    }
    StreamMetadata told = done(c.writer.getStreamMetadata(stream));
    return seen(
        "none", none.getMaxCount() == null,
        "maxCount", told.getMaxCount(),
        "owner", told.getCustomProperties().get("owner"),
        "shown", revisions(read(c.writer, stream)));
  }

  public static void main(String[] connections) throws Exception {
    List<KurrentDBClient> connected = new ArrayList<>();
    for (String connection : connections)
      connected.add(KurrentDBClient.create(KurrentDBConnectionString.parseOrThrow(connection)));
    Clients clients = new Clients(connected.get(0), connected.get(1), connected.get(2), connected.get(3));
    Map<String, Scenario> scenarios = new LinkedHashMap<>();
    scenarios.put("appends", Client::appends);
    scenarios.put("reads", Client::reads);
    scenarios.put("refusals", Client::refusals);
    scenarios.put("plain", Client::plain);
    scenarios.put("subscriptions", Subscriptions::catchingUp);
    scenarios.put("groups", Subscriptions::groups);
    scenarios.put("deletion", Client::deletion);
    scenarios.put("metadata", Client::metadata);
    for (Map.Entry<String, Scenario> scenario : scenarios.entrySet()) {
      Map<String, Object> line = seen("scenario", scenario.getKey());
      try {
        line.put("seen", scenario.getValue().see(clients));
      } catch (Exception failed) {
        StringWriter trace = new StringWriter();
        failed.printStackTrace(new PrintWriter(trace));
        line.put("failed", trace.toString());
      }
      System.out.println(new ObjectMapper().writeValueAsString(line));
    }
    for (KurrentDBClient client : connected) client.shutdown().get();
    System.exit(0);
  }
}
