package messagekind

// mqttKinds are the control packet types of MQTT, each at the index of its number minus one.
var mqttKinds = []string{
	"CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
	"SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
}

const (
	mqttPublish     = 3
	mqttPubrel      = 6
	mqttSubscribe   = 8
	mqttUnsubscribe = 10
)

// MQTT returns a Reader of the control packet types of MQTT 3.1.1 and 5.0 (section 2.1.2 of both).
// Clients may split the stream of packets into messages anywhere (section 6). The kind of a message
// is the type of the first packet that begins in it. If no packet begins in it, the kind is [None].
//
// Package otelws follows the stream of packets. This takes a lock for each message, and it
// decompresses all compressed messages. Package tracing assumes that each message begins with a
// packet.
func MQTT() Reader {
	return Reader{protocol: "MQTT", own: mqttKinds, stream: true, read: func(k *Kinds, m Message) int32 {
		if len(m.Prefix) == 0 {
			return k.none
		}
		if packet := mqttPacket(m.Prefix[0]); packet >= 0 && !m.Text {
			return packet
		}
		return k.other
	}}
}

// mqttPacket returns the index of the type of the packet whose fixed header begins with b, or -1 if
// there is no such type.
func mqttPacket(b byte) int32 {
	n, flags := int32(b>>4), b&0x0f
	want := byte(0)
	switch n {
	case mqttPublish:
		want = flags
	case mqttPubrel, mqttSubscribe, mqttUnsubscribe:
		want = 2
	}
	if n == 0 || flags != want {
		return -1
	}
	return n - 1
}
