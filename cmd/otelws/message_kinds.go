package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

// kindReaders are the readers of --message-kinds.
var kindReaders = map[string]func(argument string) (messagekind.Reader, error){
	"json": func(member string) (messagekind.Reader, error) {
		if member == "" {
			return messagekind.Reader{}, errors.New("name the member that has the kind, as in json:type=chat,typing")
		}
		return messagekind.JSONMember(member), nil
	},
	"graphql-transport-ws": plainReader(messagekind.GraphQLTransportWS),
	"graphql-ws":           plainReader(messagekind.GraphQLWS),
	"json-rpc":             plainReader(messagekind.JSONRPC),
	"engine.io":            plainReader(messagekind.EngineIO),
	"socket.io":            plainReader(messagekind.SocketIO),
	"stomp":                plainReader(messagekind.STOMP),
	"mqtt":                 plainReader(messagekind.MQTT),
	"phoenix":              plainReader(messagekind.Phoenix),
	"signalr":              plainReader(messagekind.SignalR),
}

func plainReader(reader func() messagekind.Reader) func(string) (messagekind.Reader, error) {
	return func(argument string) (messagekind.Reader, error) {
		if argument != "" {
			return messagekind.Reader{}, fmt.Errorf("only json takes a member, and here is %q", argument)
		}
		return reader(), nil
	}
}

func kindReaderNames() string {
	var names []string
	for name := range kindReaders {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// messageKinds is a flag that chooses the reader of message kinds and declares the
// kinds: the name of the reader, for json a colon and the member, and then an equals
// sign and the kinds.
type messageKinds struct {
	text   string
	reader messagekind.Reader
	kinds  []string
}

func (m *messageKinds) String() string { return m.text }
func (m *messageKinds) Type() string   { return "reader" }

func (m *messageKinds) Set(text string) error {
	if m.text != "" {
		return errors.New("give it once: one reader reads all messages")
	}
	how, list, _ := strings.Cut(text, "=")
	name, argument, _ := strings.Cut(how, ":")
	of := kindReaders[name]
	if of == nil {
		return fmt.Errorf("there is no reader %q: use one of %s", name, kindReaderNames())
	}
	reader, err := of(argument)
	if err != nil {
		return err
	}
	var kinds []string
	for kind := range strings.SplitSeq(list, ",") {
		if kind = strings.TrimSpace(kind); kind != "" {
			kinds = append(kinds, kind)
		}
	}
	if _, err := messagekind.Declare(reader, kinds...); err != nil {
		return err
	}
	m.text, m.reader, m.kinds = text, reader, kinds
	return nil
}

// options returns the options of the flag. Its reader gets prefix bytes, or the default if prefix is
// 0.
func (m *messageKinds) options(prefix int) []otelws.Option {
	if m.text == "" {
		return nil
	}
	return []otelws.Option{otelws.WithMessageKinds(m.reader.Within(cmp.Or(prefix, messagekind.DefaultPrefix)), m.kinds...)}
}
