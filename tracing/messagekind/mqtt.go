package messagekind

// mqttKinds are the control packet types of MQTT, each at its number less one.
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

// MQTT returns a Reader of the control packet types of MQTT 3.1.1 and 5.0 (section
// 2.1.2 of either). A message is of the kind of the first packet that begins in it,
// and of none where it only goes on with a packet: clients cut the stream of packets
// into messages as they like (section 6).
//
// Package otelws finds the packets in their stream, which takes a lock for each message
// and, where messages are compressed, inflates all of them. Package tracing takes each
// message to begin with a packet.
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

// mqttPacket returns the place of the packet whose fixed header begins with b, and -1
// where none does.
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
