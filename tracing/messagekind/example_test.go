package messagekind_test

import (
	"fmt"

	"github.com/otelws/otelws-go/tracing/messagekind"
)

func ExampleJSONMember() {
	kinds, err := messagekind.Declare(messagekind.JSONMember("type"), "chat", "typing")
	if err != nil {
		panic(err)
	}
	for _, message := range []string{`{"id":7,"type":"chat"}`, `{"type":"shout"}`, `[]`} {
		i := kinds.Read(messagekind.Message{Prefix: []byte(message), Whole: true, Text: true})
		fmt.Println(kinds.Names()[i])
	}
	// Output:
	// chat
	// other
	// none
}

func ExampleFirstBytes() {
	// A protocol whose messages begin with a type byte.
	reader := messagekind.FirstBytes(func(prefix []byte, _ bool) string {
		if len(prefix) == 0 {
			return ""
		}
		return map[byte]string{1: "position", 2: "score"}[prefix[0]]
	})
	kinds, err := messagekind.Declare(reader, "position", "score")
	if err != nil {
		panic(err)
	}
	fmt.Println(kinds.Names()[kinds.Read(messagekind.Message{Prefix: []byte{2, 0, 40}, Whole: true})])
	// Output: score
}
