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
// 2.1.2 of either). A message that holds several packets is of the kind of the
// first. One that begins within a packet, which section 6 allows, cannot be told
// from others: clients and brokers in use begin a message with a packet.
func MQTT() Reader {
	return Reader{protocol: "MQTT", own: mqttKinds, read: func(k *Kinds, m Message) int32 {
		if len(m.Prefix) == 0 {
			return k.none
		}
		n, flags := int32(m.Prefix[0]>>4), m.Prefix[0]&0x0f
		want := byte(0)
		switch n {
		case mqttPublish:
			want = flags
		case mqttPubrel, mqttSubscribe, mqttUnsubscribe:
			want = 2
		}
		if n == 0 || flags != want || m.Text {
			return k.other
		}
		return n - 1
	}}
}
