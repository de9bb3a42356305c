// Does with the Go client what every client is asked to do. Prints one line of JSON a scenario: what it saw.
//
// Arguments: connection strings of a writer, of a reader, of nobody that is known, and one without TLS.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb"
)

const deadline = 60 * time.Second

type clients struct{ writer, reader, stranger, plain *kurrentdb.Client }

// What was seen, by name. A scenario panics where it cannot go on.
type seen map[string]any

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func done(err error) {
	if err != nil {
		panic(err)
	}
}

func errorOf(err error) string {
	if err == nil {
		return "none"
	}
	var known *kurrentdb.Error
	if !errors.As(err, &known) {
		return err.Error()
	}
	switch known.Code() {
	case kurrentdb.ErrorCodeWrongExpectedVersion, kurrentdb.ErrorCodeStreamRevisionConflict:
		return "wrong-expected-version"
	case kurrentdb.ErrorCodeStreamDeleted, kurrentdb.ErrorCodeStreamTombstoned:
		return "stream-deleted"
	case kurrentdb.ErrorCodeAccessDenied, kurrentdb.ErrorCodeUnauthenticated:
		return "access-denied"
	case kurrentdb.ErrorCodeResourceAlreadyExists:
		return "exists"
	case kurrentdb.ErrorCodeResourceNotFound:
		return "not-found"
	}
	// This client has no error of its own for a deletion that met another revision.
	if strings.Contains(err.Error(), "WrongExpectedVersion") {
		return "wrong-expected-version"
	}
	return err.Error()
}

func numbered(first, count int) []kurrentdb.EventData {
	events := []kurrentdb.EventData{}
	for n := first; n < first+count; n++ {
		events = append(events, kurrentdb.EventData{
			EventID:     uuid.New(),
			EventType:   "placed",
			ContentType: kurrentdb.ContentTypeJson,
			Data:        []byte(fmt.Sprintf(`{"n":%d}`, n)),
			Metadata:    []byte(`{"by":"hand"}`),
		})
	}
	return events
}

func appendTo(ctx context.Context, client *kurrentdb.Client, stream string, state kurrentdb.StreamState, events ...kurrentdb.EventData) error {
	_, err := client.AppendToStream(ctx, stream, kurrentdb.AppendToStreamOptions{StreamState: state}, events...)
	return err
}

func drained(stream *kurrentdb.ReadStream, err error) ([]*kurrentdb.RecordedEvent, error) {
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	events := []*kurrentdb.RecordedEvent{}
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return nil, err
		}
		events = append(events, event.Event)
	}
}

func read(ctx context.Context, client *kurrentdb.Client, stream string) ([]*kurrentdb.RecordedEvent, error) {
	return drained(client.ReadStream(ctx, stream, kurrentdb.ReadStreamOptions{From: kurrentdb.Start{}}, math.MaxUint64))
}

func revisions(events []*kurrentdb.RecordedEvent) []uint64 {
	numbers := []uint64{}
	for _, event := range events {
		numbers = append(numbers, event.EventNumber)
	}
	return numbers
}

func appends(ctx context.Context, c clients) seen {
	stream, single := "appends", numbered(2, 1)[0]
	done(appendTo(ctx, c.writer, stream, kurrentdb.NoStream{}, numbered(0, 2)...))
	done(appendTo(ctx, c.writer, stream, kurrentdb.Revision(1), single))
	done(appendTo(ctx, c.writer, stream, kurrentdb.StreamExists{}, numbered(3, 1)...))
	done(appendTo(ctx, c.writer, stream, kurrentdb.Any{}, numbered(4, 1)...))
	done(appendTo(ctx, c.writer, stream, kurrentdb.Revision(1), single))
	done(appendTo(ctx, c.writer, "appends-many", kurrentdb.NoStream{}, numbered(0, 500)...))
	return seen{
		"revisions":  revisions(must(read(ctx, c.writer, stream))),
		"none":       errorOf(appendTo(ctx, c.writer, stream, kurrentdb.NoStream{}, numbered(0, 2)...)),
		"noneSingle": errorOf(appendTo(ctx, c.writer, stream, kurrentdb.NoStream{}, numbered(0, 1)...)),
		"exact":      errorOf(appendTo(ctx, c.writer, stream, kurrentdb.Revision(0), numbered(0, 1)...)),
		"exists":     errorOf(appendTo(ctx, c.writer, "appends-x", kurrentdb.StreamExists{}, numbered(0, 1)...)),
		"many":       len(must(read(ctx, c.writer, "appends-many"))),
	}
}

func reads(ctx context.Context, c clients) seen {
	stream := "reads"
	done(appendTo(ctx, c.writer, stream, kurrentdb.NoStream{}, numbered(0, 4)...))
	binary := kurrentdb.EventData{EventType: "sealed", ContentType: kurrentdb.ContentTypeBinary, Data: []byte{0, 255, 7}}
	done(appendTo(ctx, c.writer, stream, kurrentdb.Revision(3), binary))
	events := must(read(ctx, c.reader, stream))
	last := events[4]
	some := func(direction kurrentdb.Direction, from kurrentdb.StreamPosition, count uint64) []uint64 {
		options := kurrentdb.ReadStreamOptions{Direction: direction, From: from}
		return revisions(must(drained(c.reader.ReadStream(ctx, stream, options, count))))
	}
	ofAll := func(direction kurrentdb.Direction, from kurrentdb.AllPosition) []uint64 {
		options := kurrentdb.ReadAllOptions{Direction: direction, From: from}
		ours := []*kurrentdb.RecordedEvent{}
		for _, event := range must(drained(c.reader.ReadAll(ctx, options, math.MaxUint64))) {
			if event.StreamID == stream {
				ours = append(ours, event)
			}
		}
		return revisions(ours)
	}
	_, missing := read(ctx, c.reader, "reads-x")
	binaryBytes := []int{}
	for _, one := range last.Data {
		binaryBytes = append(binaryBytes, int(one))
	}
	return seen{
		"forwards":     revisions(events),
		"backwards":    some(kurrentdb.Backwards, kurrentdb.End{}, 100),
		"from":         some(kurrentdb.Forwards, kurrentdb.Revision(1), 2),
		"before":       some(kurrentdb.Backwards, kurrentdb.Revision(2), 2),
		"data":         string(events[3].Data),
		"metadata":     string(events[3].UserMetadata),
		"contentType":  events[3].ContentType,
		"binary":       binaryBytes,
		"binaryType":   last.ContentType,
		"time":         last.CreatedDate.UnixMilli(),
		"all":          ofAll(kurrentdb.Forwards, kurrentdb.Start{}),
		"allBackwards": ofAll(kurrentdb.Backwards, kurrentdb.End{}),
		"allFrom":      ofAll(kurrentdb.Forwards, events[2].Position),
		"missing":      errorOf(missing),
	}
}

func refusals(ctx context.Context, c clients) seen {
	_, stranger := read(ctx, c.stranger, "reads")
	group := c.reader.CreatePersistentSubscription(ctx, "refusals", "workers", kurrentdb.PersistentStreamSubscriptionOptions{})
	return seen{
		"stranger":     errorOf(stranger),
		"reader":       errorOf(appendTo(ctx, c.reader, "refusals", kurrentdb.Any{}, numbered(0, 2)...)),
		"readerSingle": errorOf(appendTo(ctx, c.reader, "refusals", kurrentdb.Any{}, numbered(0, 1)...)),
		"reserved":     errorOf(appendTo(ctx, c.writer, "asset-x", kurrentdb.Any{}, numbered(0, 1)...)),
		"groups":       errorOf(group),
	}
}

func plain(ctx context.Context, c clients) seen {
	done(appendTo(ctx, c.plain, "plain", kurrentdb.NoStream{}, numbered(0, 2)...))
	return seen{"revisions": revisions(must(read(ctx, c.plain, "plain")))}
}

func deletion(ctx context.Context, c clients) seen {
	stream := "deletion"
	done(appendTo(ctx, c.writer, stream, kurrentdb.NoStream{}, numbered(0, 2)...))
	remove := func(state kurrentdb.StreamState) error {
		_, err := c.writer.DeleteStream(ctx, stream, kurrentdb.DeleteStreamOptions{StreamState: state})
		return err
	}
	end := func(state kurrentdb.StreamState) error {
		_, err := c.writer.TombstoneStream(ctx, stream, kurrentdb.TombstoneStreamOptions{StreamState: state})
		return err
	}
	conflict := errorOf(remove(kurrentdb.Revision(0)))
	done(remove(kurrentdb.Revision(1)))
	_, deleted := read(ctx, c.writer, stream)
	done(appendTo(ctx, c.writer, stream, kurrentdb.NoStream{}, numbered(0, 1)...))
	begun := revisions(must(read(ctx, c.writer, stream)))
	done(end(kurrentdb.Revision(2)))
	_, ended := read(ctx, c.writer, stream)
	return seen{
		"conflict":     conflict,
		"deleted":      errorOf(deleted),
		"begunAgain":   begun,
		"read":         errorOf(ended),
		"append":       errorOf(appendTo(ctx, c.writer, stream, kurrentdb.Any{}, numbered(0, 2)...)),
		"appendSingle": errorOf(appendTo(ctx, c.writer, stream, kurrentdb.Any{}, numbered(0, 1)...)),
		"again":        errorOf(end(kurrentdb.Any{})),
	}
}

func metadata(ctx context.Context, c clients) seen {
	stream := "metadata"
	done(appendTo(ctx, c.writer, stream, kurrentdb.NoStream{}, numbered(0, 5)...))
	_, none := c.writer.GetStreamMetadata(ctx, stream, kurrentdb.ReadStreamOptions{})
	for _, count := range []uint64{3, 2} {
		wanted := kurrentdb.StreamMetadata{}
		wanted.SetMaxCount(count)
		wanted.AddCustomProperty("owner", "ada")
		must(c.writer.SetStreamMetadata(ctx, stream, kurrentdb.AppendToStreamOptions{}, wanted))
	}
	told := must(c.writer.GetStreamMetadata(ctx, stream, kurrentdb.ReadStreamOptions{}))
	return seen{
		"none":     errorOf(none) == "not-found",
		"maxCount": told.MaxCount(),
		"owner":    told.CustomProperty("owner"),
		"shown":    revisions(must(read(ctx, c.writer, stream))),
	}
}

func connect(connection string) *kurrentdb.Client {
	return must(kurrentdb.NewClient(must(kurrentdb.ParseConnectionString(connection))))
}

// Prints what a scenario saw, or why it could not go on.
func run(name string, scenario func() seen) {
	line := map[string]any{"scenario": name}
	func() {
		defer func() {
			if why := recover(); why != nil {
				line["failed"] = fmt.Sprint(why)
			}
		}()
		line["seen"] = scenario()
	}()
	done(json.NewEncoder(os.Stdout).Encode(line))
}

func main() {
	if len(os.Args) != 5 {
		panic("four connection strings are wanted")
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	c := clients{connect(os.Args[1]), connect(os.Args[2]), connect(os.Args[3]), connect(os.Args[4])}
	scenarios := []struct {
		name string
		do   func(context.Context, clients) seen
	}{
		{"appends", appends}, {"reads", reads}, {"refusals", refusals}, {"plain", plain},
		{"subscriptions", subscriptions}, {"groups", groups}, {"deletion", deletion}, {"metadata", metadata},
	}
	for _, scenario := range scenarios {
		run(scenario.name, func() seen { return scenario.do(ctx, c) })
	}
}
