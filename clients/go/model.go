package hourlog

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Position is the place of an event in its log: its time in nanoseconds since 1970, and its place in arrival order.
type Position struct {
	Offset int64
	Seq    int64
}

// ParsePosition reads 1517781402123000000-1099511627778.
func ParsePosition(text string) (Position, error) {
	at := strings.LastIndexByte(text, '-')
	if at < 1 {
		return Position{}, errorf(ErrInvalid, "%q is not a position", text)
	}
	offset, err := strconv.ParseInt(text[:at], 10, 64)
	if err != nil {
		return Position{}, errorf(ErrInvalid, "%q is not a position", text)
	}
	seq, err := strconv.ParseInt(text[at+1:], 10, 64)
	if err != nil {
		return Position{}, errorf(ErrInvalid, "%q is not a position", text)
	}
	return Position{offset, seq}, nil
}

func (p Position) String() string { return fmt.Sprintf("%d-%d", p.Offset, p.Seq) }

// MarshalText writes the position as requests have it.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a position of a reply.
func (p *Position) UnmarshalText(text []byte) error {
	parsed, err := ParsePosition(string(text))
	*p = parsed
	return err
}

// Event is a record with its log and its position.
type Event struct {
	Log      string
	Position Position
	// Time is the event's time in UTC.
	Time time.Time
	// Arrived is the arrival time of a late event.
	Arrived  *time.Time
	Metadata map[string][]string
	Data     []byte
}

// UnmarshalJSON reads an event of a page.
func (e *Event) UnmarshalJSON(text []byte) error {
	var fields struct {
		Log        string              `json:"log"`
		Position   Position            `json:"position"`
		Arrived    *time.Time          `json:"arrived"`
		Metadata   map[string][]string `json:"metadata"`
		Data       string              `json:"data"`
		DataBase64 *string             `json:"data_base64"`
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	*e = Event{
		Log:      fields.Log,
		Position: fields.Position,
		Time:     time.Unix(0, fields.Position.Offset).UTC(),
		Arrived:  fields.Arrived,
		Metadata: fields.Metadata,
		Data:     []byte(fields.Data),
	}
	if fields.DataBase64 == nil {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(*fields.DataBase64)
	e.Data = data
	return err
}

// Page is one page of a log, or of several.
type Page struct {
	Events []Event `json:"events"`
	// Next is what to send as After for the next page; empty if there is no event to go on from.
	Next string `json:"next"`
	// End is more, bound, caught_up, deadline or expired.
	End string `json:"end"`
	// Resolved is the position of the first event.
	Resolved *Position `json:"resolved"`
	// Reason says, with Seek, how the first event relates to From.
	Reason string `json:"reason"`
	// Expired is the time before which events were removed, if the page begins there.
	Expired *time.Time `json:"expired"`
	// Scanned is the number of events that the service has read.
	Scanned uint64 `json:"scanned"`
}

// IsLast is true if a request for the next page would find nothing now.
func (p *Page) IsLast() bool { return p.End == "bound" || p.End == "caught_up" || p.End == "expired" }

// Query has the fields of a request for pages, as the protocol names them. Times are texts, such as those that At returns,
// "-1h", "first" or "last".
type Query struct {
	From     string `json:"from,omitempty"`
	To       string `json:"to,omitempty"`
	After    string `json:"after,omitempty"`
	Limit    int    `json:"limit,omitempty"`
	MaxBytes int    `json:"max_bytes,omitempty"`
	Order    string `json:"order,omitempty"`
	Reverse  bool   `json:"reverse,omitempty"`
	Seek     bool   `json:"seek,omitempty"`
	Wait     string `json:"wait,omitempty"`
	Fresh    bool   `json:"fresh,omitempty"`
	Where    string `json:"where,omitempty"`
	Text     string `json:"text,omitempty"`
	Header   string `json:"header,omitempty"`
	// Pattern is for Merge only.
	Pattern string `json:"pattern,omitempty"`
}

// At returns a time as requests have it.
func At(when time.Time) string { return when.UTC().Format(time.RFC3339Nano) }
