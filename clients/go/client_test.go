package hourlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

var (
	client *Client
	noon   = time.Date(2018, 2, 4, 12, 0, 0, 0, time.UTC)
)

// TestMain starts a real nats-server and a real hourlogd.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	natsServer, hourlogd := os.Getenv("HOURLOG_NATS_SERVER"), os.Getenv("HOURLOGD")
	if natsServer == "" || hourlogd == "" {
		fmt.Fprintln(os.Stderr, "HOURLOG_NATS_SERVER and HOURLOGD name no programs; run the tests with `cargo xtask clients`")
		return 1
	}
	work, err := os.MkdirTemp("", "hourlog-go")
	must(err)
	defer os.RemoveAll(work)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	port := listener.Addr().(*net.TCPAddr).Port
	must(listener.Close())
	url := fmt.Sprintf("nats://127.0.0.1:%d", port)
	defer start(natsServer, "-js", "-sd", filepath.Join(work, "js"), "-a", "127.0.0.1", "-p", fmt.Sprint(port))()
	connection := until(func() (*nats.Conn, error) { return nats.Connect(url) })
	defer connection.Close()
	defer start(hourlogd, "--nats", url, "--store", "file:"+filepath.Join(work, "archive"))()
	client = New(connection)
	until(func() (any, error) {
		var reply any
		return reply, client.Logs(context.Background(), map[string]any{}, &reply)
	})
	return m.Run()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// start starts a program, and returns what stops it.
func start(program string, arguments ...string) func() {
	command := exec.Command(program, arguments...)
	must(command.Start())
	return func() {
		must(command.Process.Signal(os.Interrupt))
		_ = command.Wait()
	}
}

// until tries again and again, for a minute.
func until[T any](try func() (T, error)) T {
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		value, err := try()
		if err == nil {
			return value
		}
		if time.Since(begun) > time.Minute {
			panic(err)
		}
	}
}

// fresh returns a context with a limit, and the id of a log of its own.
func fresh(t *testing.T) (context.Context, string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx, "test." + t.Name()
}

func collect(t *testing.T, events iter.Seq2[Event, error]) []string {
	t.Helper()
	var found []string
	for event, err := range events {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, string(event.Data))
	}
	return found
}

func equal(t *testing.T, found, expected any) {
	t.Helper()
	if fmt.Sprint(found) != fmt.Sprint(expected) {
		t.Fatalf("found %v, expected %v", found, expected)
	}
}

func appendAll(t *testing.T, ctx context.Context, log string, records ...Record) {
	t.Helper()
	for _, record := range records {
		if _, err := client.Append(ctx, log, record); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReplay(t *testing.T) {
	ctx, log := fresh(t)
	position, err := client.Append(ctx, log, Record{Data: []byte(`{"id":7}`), Metadata: map[string][]string{"kind": {"paid", "twice"}}, Time: noon})
	must(err)
	equal(t, position.Offset, noon.UnixNano())
	must(client.Publish(ctx, log, Record{Data: []byte("later"), Time: noon.Add(time.Hour + 1)}))
	appendAll(t, ctx, log, Record{Data: []byte{0xff, 0}})
	var events []Event
	for event, err := range client.Replay(ctx, log, Query{Fresh: true}) {
		must(err)
		events = append(events, event)
	}
	equal(t, len(events), 3)
	equal(t, events[0].Metadata["kind"], []string{"paid", "twice"})
	equal(t, events[0].Time, noon)
	equal(t, events[1].Time.Nanosecond(), 1)
	equal(t, events[2].Data, []byte{0xff, 0})
	equal(t, collect(t, client.Replay(ctx, log, Query{From: At(noon), To: At(noon.Add(time.Minute))})), []string{`{"id":7}`})
	equal(t, collect(t, client.Replay(ctx, log, Query{From: At(noon.Add(time.Minute)), Limit: 1})), []string{"later"})
	equal(t, collect(t, client.Replay(ctx, log, Query{Where: `metadata.kind == "paid"`})), []string{`{"id":7}`})
}

func TestPages(t *testing.T) {
	ctx, log := fresh(t)
	var expected []string
	for number := range 2_300 {
		must(client.Conn.Publish("log."+log, []byte(fmt.Sprint(number))))
		expected = append(expected, fmt.Sprint(number))
	}
	appendAll(t, ctx, log, Record{Data: []byte("2300")})
	expected = append(expected, "2300")
	equal(t, collect(t, client.Replay(ctx, log, Query{})), expected)
	equal(t, collect(t, client.Replay(ctx, log, Query{Limit: 1_500})), expected[:1_500])
	equal(t, collect(t, client.Merge(ctx, "test", Query{Pattern: log})), expected)
	slices.Reverse(expected)
	equal(t, collect(t, client.Replay(ctx, log, Query{Reverse: true, To: "end"})), expected)
}

func TestFollow(t *testing.T) {
	ctx, log := fresh(t)
	appendAll(t, ctx, log, Record{Data: []byte("a")})
	var found []string
	for page, err := range client.Follow(ctx, log, "", Query{}) {
		must(err)
		for _, event := range page.Events {
			found = append(found, string(event.Data))
		}
		if page.Next != "" {
			_, err := client.SetCursor(ctx, log, "reader", page.Next)
			must(err)
		}
		if len(found) == 1 && page.IsLast() {
			// Late, and yet an arrival.
			appendAll(t, ctx, log, Record{Data: []byte("b"), Time: noon})
		}
		if len(found) == 2 {
			break
		}
	}
	equal(t, found, []string{"a", "b"})
	appendAll(t, ctx, log, Record{Data: []byte("c")})
	cursor, err := client.Cursor(ctx, log, "reader")
	must(err)
	for page, err := range client.Follow(ctx, log, cursor, Query{}) {
		must(err)
		equal(t, string(page.Events[0].Data), "c")
		break
	}
	deleted, err := client.DeleteCursor(ctx, log, "reader")
	must(err)
	equal(t, deleted, true)
}

func TestSeveralLogs(t *testing.T) {
	ctx, log := fresh(t)
	for number := range 6 {
		record := Record{Data: []byte(fmt.Sprintf(`{"n":%d}`, number)), Time: noon.Add(time.Duration(number) * time.Second)}
		appendAll(t, ctx, fmt.Sprintf("%s.l%d", log, number%3), record)
	}
	equal(t, collect(t, client.Merge(ctx, log, Query{Where: "json.n > 3", Reverse: true})), []string{`{"n":5}`, `{"n":4}`})
	var counted struct {
		Count  int
		Groups []struct{ Count int }
	}
	must(client.Timelines(ctx, log, map[string]any{"bins": 1, "by": "log"}, &counted))
	equal(t, counted, "{6 [{2} {2} {2}]}")
	must(client.Timeline(ctx, log+".l0", map[string]any{"bins": 1}, &counted))
	equal(t, counted.Count, 2)
	var description struct{ Events int }
	must(client.Describe(ctx, log+".l1", &description))
	equal(t, description.Events, 2)
}

func TestLog(t *testing.T) {
	ctx, id := fresh(t)
	log := client.Log(id)
	at := func(second int) Record {
		return Record{Data: []byte(fmt.Sprint(second)), Time: noon.Add(time.Duration(second) * time.Second)}
	}
	write := func(second int) {
		_, err := log.Write(ctx, at(second))
		must(err)
	}
	read := func() string {
		event, err := log.Read(ctx)
		if errors.Is(err, io.EOF) {
			return "end"
		}
		must(err)
		return string(event.Data)
	}
	for _, second := range []int{1, 3, 5} {
		write(second)
	}
	equal(t, log.ID(), id)
	equal(t, read(), "1")
	// Behind what was read, and before what was read ahead.
	write(2)
	equal(t, []string{read(), read(), read(), read()}, []string{"2", "3", "5", "end"})
	write(6)
	equal(t, read(), "6")
	seek := func(when time.Time) string {
		seeked, err := log.Seek(ctx, when)
		must(err)
		return seeked.Reason
	}
	equal(t, seek(noon.Add(3*time.Second)), "exact")
	equal(t, read(), "3")
	equal(t, seek(noon), "before_first")
	equal(t, seek(noon.Add(time.Hour)), "after_last")
	equal(t, read(), "end")
	must(log.Close())
	_, err := log.Read(ctx)
	equal(t, errors.Is(err, ErrClosed), true)
}

func TestErrors(t *testing.T) {
	ctx, log := fresh(t)
	is := func(err, kind error) {
		t.Helper()
		if !errors.Is(err, kind) {
			t.Fatalf("found %v, expected %v", err, kind)
		}
	}
	is(client.Describe(ctx, log, nil), ErrNotFound)
	_, err := client.Page(ctx, log, Query{From: "yesterday"})
	is(err, ErrInvalid)
	_, err = client.Page(ctx, "a b", Query{})
	is(err, ErrInvalid)
	_, err = client.Append(ctx, log, Record{Time: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)})
	is(err, ErrRejected)
	var rejected *Error
	if !errors.As(err, &rejected) || rejected.Sent != "yes" {
		t.Fatalf("found %v", err)
	}
	is((&Client{Conn: client.Conn, Prefix: "elsewhere"}).Describe(ctx, log, nil), ErrUnavailable)
	first, err := client.Append(ctx, log, Record{Data: []byte("x"), MessageID: log})
	must(err)
	again, err := client.Append(ctx, log, Record{Data: []byte("x"), MessageID: log})
	must(err)
	equal(t, again, first)
}

func TestNear(t *testing.T) {
	ctx, log := fresh(t)
	position, err := client.Append(ctx, log, Record{Data: []byte("a"), Time: noon})
	must(err)
	event, err := client.Event(ctx, log, position)
	must(err)
	equal(t, string(event.Data), "a")
	_, err = client.Event(ctx, log, Position{Offset: 1, Seq: 1})
	equal(t, errors.Is(err, ErrNotFound), true)
	var near struct {
		Before struct{ Data string }
	}
	must(client.Near(ctx, log, map[string]any{"at": "now"}, &near))
	equal(t, near.Before.Data, "a")
	var newest struct {
		Logs []struct{ Log string }
	}
	must(client.Newest(ctx, log, map[string]any{}, &newest))
	equal(t, newest.Logs[0].Log, log)
}
