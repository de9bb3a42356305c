import io.kurrent.dbclient.CreatePersistentSubscriptionToAllOptions;
import io.kurrent.dbclient.CreatePersistentSubscriptionToStreamOptions;
import io.kurrent.dbclient.KurrentDBClient;
import io.kurrent.dbclient.KurrentDBPersistentSubscriptionsClient;
import io.kurrent.dbclient.NackAction;
import io.kurrent.dbclient.PersistentSubscription;
import io.kurrent.dbclient.PersistentSubscriptionListener;
import io.kurrent.dbclient.PersistentSubscriptionToStreamInfo;
import io.kurrent.dbclient.Position;
import io.kurrent.dbclient.ResolvedEvent;
import io.kurrent.dbclient.StreamState;
import io.kurrent.dbclient.SubscribeToAllOptions;
import io.kurrent.dbclient.SubscribeToStreamOptions;
import io.kurrent.dbclient.Subscription;
import io.kurrent.dbclient.SubscriptionFilter;
import io.kurrent.dbclient.SubscriptionListener;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** Catch-up subscriptions and persistent ones. */
final class Subscriptions {
  private static final int LOOKS_MAX = 200;
  private static final String CAUGHT_UP = "caught-up";

  private record Delivery(PersistentSubscription from, int retries, ResolvedEvent event) {
    long revision() {
      return event.getEvent().getRevision();
    }
  }

  /** Hands on what a subscription tells: revisions, positions of checkpoints, and that it has caught up. */
  private static final class Told extends SubscriptionListener {
    private final BlockingQueue<Object> queue = new LinkedBlockingQueue<>();

    @Override
    public void onEvent(Subscription subscription, ResolvedEvent event) {
      queue.add(event.getEvent().getRevision());
    }

    @Override
    public void onCaughtUp(Subscription subscription, Instant at, Long revision, Position position) {
      queue.add(CAUGHT_UP);
    }

    @Override
    public void onCancelled(Subscription subscription, Throwable why) {
      if (why != null) queue.add(why);
    }
  }

  private static final class Given extends PersistentSubscriptionListener {
    private final BlockingQueue<Object> queue = new LinkedBlockingQueue<>();

    @Override
    public void onEvent(PersistentSubscription subscription, int retries, ResolvedEvent event) {
      queue.add(new Delivery(subscription, retries, event));
    }

    @Override
    public void onCancelled(PersistentSubscription subscription, Throwable why) {
      if (why != null) queue.add(why);
    }
  }

  private static Object next(BlockingQueue<Object> queue) throws Exception {
    Object told = queue.poll(Client.DEADLINE_SECONDS, TimeUnit.SECONDS);
    if (told == null) throw new IllegalStateException("nothing came");
    if (told instanceof Throwable why) throw new IllegalStateException("the subscription ended", why);
    return told;
  }

  static KurrentDBPersistentSubscriptionsClient of(KurrentDBClient client) {
    return KurrentDBPersistentSubscriptionsClient.from(client);
  }

  static Map<String, Object> catchingUp(Client.Clients c) throws Exception {
    String stream = "subscriptions";
    Client.done(Client.append(c.writer(), stream, StreamState.noStream(), Client.numbered(0, 3)));
    Client.done(Client.append(c.writer(), "other", StreamState.noStream(), Client.numbered(0, 40)));
    Told live = new Told();
    SubscribeToStreamOptions fromStart = SubscribeToStreamOptions.get().fromStart();
    Subscription following = Client.done(c.reader().subscribeToStream(stream, live, fromStart));
    List<Object> seen = new ArrayList<>();
    while (seen.size() < 5) {
      Object told = next(live.queue);
      seen.add(told);
      if (told.equals(CAUGHT_UP))
        Client.done(Client.append(c.writer(), stream, StreamState.streamRevision(2), Client.numbered(3, 1)));
    }
    following.stop();
    Told later = new Told();
    SubscribeToStreamOptions behindOne = SubscribeToStreamOptions.get().fromRevision(1);
    following = Client.done(c.reader().subscribeToStream(stream, later, behindOne));
    List<Object> behind = List.of(next(later.queue), next(later.queue));
    following.stop();
    List<Object> found = new ArrayList<>();
    Position checkpoint = ofAll(c, stream, null, CAUGHT_UP, found);
    Client.done(Client.append(c.writer(), stream, StreamState.streamRevision(3), Client.numbered(4, 1)));
    List<Object> resumed = new ArrayList<>();
    ofAll(c, stream, checkpoint, 4L, resumed);
    return Client.seen(
        "stream", seen,
        "behind", behind,
        "all", found,
        "checkpoint", checkpoint != null,
        // What lies behind the checkpoint comes again, what lies before it does not.
        "resumed", resumed.subList(resumed.size() - 1, resumed.size()),
        "missed", resumed.size() > 2);
  }

  /** Follows $all until something is told; answers the last checkpoint before that. */
  private static Position ofAll(
      Client.Clients c, String stream, Position from, Object until, List<Object> found) throws Exception {
    Told told = new Told();
    SubscriptionFilter filter =
        SubscriptionFilter.newBuilder()
            .addStreamNamePrefix(stream)
            .withMaxWindow(1)
            .withCheckpointer(
                (subscription, position) -> {
                  told.queue.add(position);
                  return CompletableFuture.completedFuture(null);
                },
                10)
            .build();
    SubscribeToAllOptions options = SubscribeToAllOptions.get().filter(filter);
    if (from == null) options.fromStart();
    else options.fromPosition(from);
    Subscription following = Client.done(c.reader().subscribeToAll(told, options));
    Position checkpoint = null;
    while (true) {
      Object one = next(told.queue);
      if (one instanceof Position position) checkpoint = position;
      else if (one instanceof Long) found.add(one);
      if (one.equals(until)) break;
    }
    following.stop();
    return checkpoint;
  }

  static Map<String, Object> groups(Client.Clients c) throws Exception {
    String stream = "groups";
    String group = "workers";
    KurrentDBPersistentSubscriptionsClient client = of(c.writer());
    Client.done(Client.append(c.writer(), stream, StreamState.noStream(), Client.numbered(0, 4)));
    CreatePersistentSubscriptionToStreamOptions options =
        CreatePersistentSubscriptionToStreamOptions.get().fromStart().checkpointLowerBound(1);
    Client.done(client.createToStream(stream, group, options));
    Given given = new Given();
    PersistentSubscription consumer = Client.done(client.subscribeToStream(stream, group, given));
    List<String> deliveries = consume(given);
    long parked = parkedIs(client, stream, group, 1);
    Client.done(client.replayParkedMessagesToStream(stream, group));
    Delivery again = (Delivery) next(given.queue);
    again.from().ack(again.event());
    parkedIs(client, stream, group, 0);
    consumer.stop();
    PersistentSubscriptionToStreamInfo told = Client.done(client.getInfoToStream(stream, group)).get();
    String exists = Client.errorOf(() -> client.createToStream(stream, group, options));
    List<List<String>> listed = new ArrayList<>();
    for (PersistentSubscriptionToStreamInfo one : Client.done(client.listToStream(stream)))
      listed.add(List.of(one.getGroupName(), one.getEventSource()));
    List<Long> ofAll = ofAllGroup(client);
    Client.done(client.deleteToStream(stream, group));
    return Client.seen(
        "deliveries", deliveries,
        "parked", parked,
        "replayed", again.revision(),
        "info",
            List.of(
                told.getGroupName(),
                told.getEventSource(),
                told.getSettings().getNamedConsumerStrategy().toString()),
        "exists", exists,
        "listed", listed,
        "all", ofAll,
        "deleted", Client.done(client.getInfoToStream(stream, group)).isEmpty() ? "not-found" : "found",
        "missing", Client.errorOf(() -> client.subscribeToStream(stream, "x", new Given())));
  }

  /** Five deliveries of four messages: one is asked for again, one parked, the others acknowledged. */
  private static List<String> consume(Given given) throws Exception {
    List<String> deliveries = new ArrayList<>();
    while (deliveries.size() < 5) {
      Delivery told = (Delivery) next(given.queue);
      long revision = told.revision();
      if (revision == 1 && told.retries() == 0) {
        told.from().nack(NackAction.Retry, "not yet", told.event());
        deliveries.add("1 retried");
      } else if (revision == 2) {
        told.from().nack(NackAction.Park, "broken", told.event());
        deliveries.add("2 parked");
      } else {
        told.from().ack(told.event());
        deliveries.add(revision + " acked");
      }
    }
    deliveries.sort(null);
    return deliveries;
  }

  private static List<Long> ofAllGroup(KurrentDBPersistentSubscriptionsClient client) throws Exception {
    SubscriptionFilter filter =
        SubscriptionFilter.newBuilder().withStreamNameRegularExpression("^groups$").build();
    Client.done(client.createToAll("all", CreatePersistentSubscriptionToAllOptions.get().fromStart().filter(filter)));
    Given given = new Given();
    PersistentSubscription consumer = Client.done(client.subscribeToAll("all", given));
    List<Long> revisions = new ArrayList<>();
    while (revisions.size() < 4) {
      Delivery told = (Delivery) next(given.queue);
      told.from().ack(told.event());
      revisions.add(told.revision());
    }
    consumer.stop();
    Client.done(client.deleteToAll("all"));
    return revisions;
  }

  private static long parkedIs(
      KurrentDBPersistentSubscriptionsClient client, String stream, String group, long count)
      throws Exception {
    for (int look = 0; look < LOOKS_MAX; look += 1) {
      if (Client.done(client.getInfoToStream(stream, group)).get().getStats().getParkedMessageCount() == count)
        return count;
      Thread.sleep(50);
    }
    throw new IllegalStateException(count + " parked messages were not seen");
  }
}
