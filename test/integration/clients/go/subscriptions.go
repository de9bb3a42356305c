package main

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb"
)

const looksMax = 200

func subscriptions(ctx context.Context, c clients) seen {
	stream := "subscriptions"
	done(appendTo(ctx, c.writer, stream, kurrentdb.NoStream{}, numbered(0, 3)...))
	done(appendTo(ctx, c.writer, "other", kurrentdb.NoStream{}, numbered(0, 40)...))
	live := must(c.reader.SubscribeToStream(ctx, stream, kurrentdb.SubscribeToStreamOptions{From: kurrentdb.Start{}}))
	all := []any{}
	for len(all) < 5 {
		told := live.Recv()
		dropped(told)
		if told.CaughtUp != nil {
			all = append(all, "caught-up")
			done(appendTo(ctx, c.writer, stream, kurrentdb.Revision(2), numbered(3, 1)...))
		} else if told.EventAppeared != nil {
			all = append(all, told.EventAppeared.Event.EventNumber)
		}
	}
	done(live.Close())
	later := must(c.reader.SubscribeToStream(ctx, stream, kurrentdb.SubscribeToStreamOptions{From: kurrentdb.Revision(1)}))
	behind := []uint64{}
	for len(behind) < 2 {
		told := later.Recv()
		dropped(told)
		if told.EventAppeared != nil {
			behind = append(behind, told.EventAppeared.Event.EventNumber)
		}
	}
	done(later.Close())
	// Until the subscription has caught up, or until one revision is seen.
	ofAll := func(from kurrentdb.AllPosition, stop *uint64) ([]uint64, *kurrentdb.Position) {
		filter := &kurrentdb.SubscriptionFilter{Type: kurrentdb.StreamFilterType, Prefixes: []string{stream}}
		options := kurrentdb.SubscribeToAllOptions{From: from, Filter: filter, MaxSearchWindow: 1, CheckpointInterval: 10}
		filtered := must(c.reader.SubscribeToAll(ctx, options))
		defer filtered.Close()
		found := []uint64{}
		var checkpoint *kurrentdb.Position
		for {
			told := filtered.Recv()
			dropped(told)
			if told.CheckPointReached != nil {
				checkpoint = told.CheckPointReached
			} else if told.CaughtUp != nil && stop == nil {
				return found, checkpoint
			} else if told.EventAppeared != nil {
				number := told.EventAppeared.Event.EventNumber
				found = append(found, number)
				if stop != nil && number == *stop {
					return found, checkpoint
				}
			}
		}
	}
	found, checkpoint := ofAll(kurrentdb.Start{}, nil)
	done(appendTo(ctx, c.writer, stream, kurrentdb.Revision(3), numbered(4, 1)...))
	stop := uint64(4)
	resumed, _ := ofAll(*checkpoint, &stop)
	return seen{
		"stream":     all,
		"behind":     behind,
		"all":        found,
		"checkpoint": checkpoint != nil,
		// What lies behind the checkpoint comes again, what lies before it does not.
		"resumed": resumed[len(resumed)-1:],
		"missed":  len(resumed) > 2,
	}
}

func dropped(told *kurrentdb.SubscriptionEvent) {
	if told.SubscriptionDropped != nil {
		panic(fmt.Errorf("dropped: %w", told.SubscriptionDropped.Error))
	}
}

// The next message that a group gives to its consumer.
func next(consumer *kurrentdb.PersistentSubscription) *kurrentdb.EventAppeared {
	for {
		told := consumer.Recv()
		if told.SubscriptionDropped != nil {
			panic(fmt.Errorf("dropped: %w", told.SubscriptionDropped.Error))
		}
		if told.EventAppeared != nil {
			return told.EventAppeared
		}
	}
}

func groups(ctx context.Context, c clients) seen {
	stream, group := "groups", "workers"
	done(appendTo(ctx, c.writer, stream, kurrentdb.NoStream{}, numbered(0, 4)...))
	settings := kurrentdb.SubscriptionSettingsDefault()
	settings.CheckpointLowerBound = 1
	options := kurrentdb.PersistentStreamSubscriptionOptions{Settings: &settings, StartFrom: kurrentdb.Start{}}
	create := func() error { return c.writer.CreatePersistentSubscription(ctx, stream, group, options) }
	info := func() (*kurrentdb.PersistentSubscriptionInfo, error) {
		return c.writer.GetPersistentSubscriptionInfo(ctx, stream, group, kurrentdb.GetPersistentSubscriptionOptions{})
	}
	consume := func() *kurrentdb.PersistentSubscription {
		return must(c.writer.SubscribeToPersistentSubscription(ctx, stream, group, kurrentdb.SubscribeToPersistentSubscriptionOptions{}))
	}
	parkedIs := func(count int64) int64 {
		for range looksMax {
			if told := must(info()).Stats.ParkedMessagesCount; told == count {
				return told
			}
			time.Sleep(50 * time.Millisecond)
		}
		panic(fmt.Errorf("%d parked messages were not seen", count))
	}
	done(create())
	consumer := consume()
	deliveries := []string{}
	for len(deliveries) < 5 {
		told := next(consumer)
		revision := told.Event.Event.EventNumber
		switch {
		case revision == 1 && told.RetryCount == 0:
			done(consumer.Nack("not yet", kurrentdb.NackActionRetry, told.Event))
			deliveries = append(deliveries, "1 retried")
		case revision == 2:
			done(consumer.Nack("broken", kurrentdb.NackActionPark, told.Event))
			deliveries = append(deliveries, "2 parked")
		default:
			done(consumer.Ack(told.Event))
			deliveries = append(deliveries, fmt.Sprintf("%d acked", revision))
		}
	}
	sort.Strings(deliveries)
	parked := parkedIs(1)
	done(c.writer.ReplayParkedMessages(ctx, stream, group, kurrentdb.ReplayParkedMessagesOptions{}))
	again := next(consumer)
	done(consumer.Ack(again.Event))
	parkedIs(0)
	done(consumer.Close())
	told := must(info())
	exists := errorOf(create())
	listed := [][]string{}
	for _, one := range must(c.writer.ListPersistentSubscriptionsForStream(ctx, stream, kurrentdb.ListPersistentSubscriptionsOptions{})) {
		listed = append(listed, []string{one.GroupName, one.EventSource})
	}
	allOptions := kurrentdb.PersistentAllSubscriptionOptions{
		StartFrom: kurrentdb.Start{},
		Filter:    &kurrentdb.SubscriptionFilter{Type: kurrentdb.StreamFilterType, Regex: "^groups$"},
	}
	done(c.writer.CreatePersistentSubscriptionToAll(ctx, "all", allOptions))
	ofAll := []uint64{}
	allConsumer := must(c.writer.SubscribeToPersistentSubscriptionToAll(ctx, "all", kurrentdb.SubscribeToPersistentSubscriptionOptions{}))
	for len(ofAll) < 4 {
		event := next(allConsumer).Event
		done(allConsumer.Ack(event))
		ofAll = append(ofAll, event.Event.EventNumber)
	}
	done(allConsumer.Close())
	done(c.writer.DeletePersistentSubscription(ctx, stream, group, kurrentdb.DeletePersistentSubscriptionOptions{}))
	done(c.writer.DeletePersistentSubscriptionToAll(ctx, "all", kurrentdb.DeletePersistentSubscriptionOptions{}))
	_, deleted := info()
	_, missing := c.writer.SubscribeToPersistentSubscription(ctx, stream, "x", kurrentdb.SubscribeToPersistentSubscriptionOptions{})
	return seen{
		"deliveries": deliveries,
		"parked":     parked,
		"replayed":   again.Event.Event.EventNumber,
		"info":       []any{told.GroupName, told.EventSource, told.Settings.ConsumerStrategyName},
		"exists":     exists,
		"listed":     listed,
		"all":        ofAll,
		"deleted":    errorOf(deleted),
		"missing":    errorOf(missing),
	}
}
