package otelws_test

import (
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

func values(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("v%d", i)
	}
	return all
}

func TestCardinalityLimitOfEnvironment(t *testing.T) {
	t.Setenv("OTEL_GO_X_CARDINALITY_LIMIT", " 60 ")
	_, err := otelws.New(otelws.WithMeterProvider(noop.NewMeterProvider()))
	if err == nil || !strings.Contains(err.Error(), "but the SDK keeps at most 59") {
		t.Errorf("New under a limit of 60 returned %v", err)
	}
}

func TestBudget(t *testing.T) {
	off := otelws.WithMeterProvider(noop.NewMeterProvider())
	tests := []struct {
		name    string
		options []otelws.Option
		want    []string // parts of the error, nil if New succeeds
	}{
		{"default", nil, nil},
		{"usual", []otelws.Option{otelws.WithEnum("tier", nil, values(2)...), otelws.WithRoutes("/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h", "/i", "/j")}, nil},
		{
			"that of the README",
			[]otelws.Option{
				otelws.WithEnum("plan", nil, "free", "pro"), otelws.WithRoutes("/chat/{room}", "/echo"),
				otelws.WithSubprotocols("chat.v1", "chat.v2"), otelws.WithCloseCodes(4001, 4002),
			},
			nil,
		},
		{
			"product above the budget",
			[]otelws.Option{otelws.WithEnum("tier", nil, values(9)...), otelws.WithEnum("region", nil, values(8)...)},
			[]string{
				"worst case of 51874 time series is above the budget of 20000",
				"ws.handshake.duration: 10 tier × 9 region × 15 http.response.status_code × 17 series = 22950",
				"raise WithSeriesBudget",
			},
		},
		{
			"raised",
			[]otelws.Option{otelws.WithEnum("tier", nil, values(9)...), otelws.WithEnum("region", nil, values(8)...), otelws.WithSeriesBudget(51874)},
			nil,
		},
		{
			"lowered",
			[]otelws.Option{otelws.WithSeriesBudget(2567)},
			[]string{"worst case of 2568 time series is above the budget of 2567"},
		},
		{
			"with decoded sizes, raised",
			[]otelws.Option{otelws.WithDecodedSizes(), otelws.WithSeriesBudget(2568 + 2*2*2)},
			nil,
		},
		{
			"with decoded sizes, lowered",
			[]otelws.Option{otelws.WithDecodedSizes(), otelws.WithSeriesBudget(2568 + 2*2*2 - 1)},
			[]string{"worst case of 2576 time series is above the budget of 2575"},
		},
		{
			"with message kinds, just enough",
			[]otelws.Option{otelws.WithMessageKinds(messagekind.JSONMember("type"), values(10)...), otelws.WithSeriesBudget(2568 + 2*2*2*12)},
			nil,
		},
		{
			"with message kinds, lowered",
			[]otelws.Option{otelws.WithMessageKinds(messagekind.JSONMember("type"), values(10)...), otelws.WithSeriesBudget(2568 + 2*2*2*12 - 1)},
			[]string{"is above the budget of"},
		},
		{
			"with sizes by kind",
			[]otelws.Option{
				otelws.WithMessageKinds(messagekind.JSONMember("type"), values(98)...), otelws.WithSizesByKind(),
				otelws.WithEnum("tier", nil, values(9)...), otelws.WithAttributesOn(otelws.MessageInstruments), otelws.WithCardinalityLimit(0),
			},
			[]string{"ws.message: 10 tier × 100 kind × 10 series = 10000"},
		},
		{
			"kinds beyond the limit",
			[]otelws.Option{otelws.WithMessageKinds(messagekind.JSONMember("type"), values(998)...)},
			[]string{"an instrument has 2000 attribute sets, but the SDK keeps at most 1999", "ws.messages: 2 network.io.direction × 1000 kind × 1 series = 2000"},
		},
		{
			"more sets than the SDK keeps apart",
			[]otelws.Option{otelws.WithEnum("tier", nil, values(99)...), otelws.WithSeriesBudget(1 << 30)},
			[]string{"an instrument has 2000 attribute sets, but the SDK keeps at most 1999: declare fewer values, or raise the SDK's cardinality limit (ws.connections.closed: 100 tier × 20 code × 1 series = 2000)"},
		},
		{
			"a product beyond all numbers",
			[]otelws.Option{
				otelws.WithEnum("a", nil, values(5000)...), otelws.WithEnum("b", nil, values(5000)...), otelws.WithEnum("c", nil, values(5000)...),
				otelws.WithEnum("d", nil, values(5000)...), otelws.WithEnum("e", nil, values(5000)...), otelws.WithEnum("f", nil, values(5000)...),
			},
			[]string{"an instrument has more than 100000 attribute sets"},
		},
		{
			"a limit given",
			[]otelws.Option{otelws.WithCardinalityLimit(60)},
			[]string{"an instrument has 60 attribute sets, but the SDK keeps at most 59", "ws.connection.duration: 20 code × 3 initiator"},
		},
		{
			"a limit that is just enough",
			[]otelws.Option{otelws.WithCardinalityLimit(61)},
			nil,
		},
		{
			"no limit",
			[]otelws.Option{otelws.WithEnum("tier", nil, values(99)...), otelws.WithSeriesBudget(1 << 30), otelws.WithCardinalityLimit(0)},
			nil,
		},
		{
			"a limit that is none",
			[]otelws.Option{otelws.WithCardinalityLimit(-1)},
			[]string{"invalid cardinality limit -1: use a positive number"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := otelws.New(append(tt.options, off)...)
			if len(tt.want) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v does not contain %q", err, want)
				}
			}
		})
	}
}
