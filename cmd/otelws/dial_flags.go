package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// dialFlags are the flags of commands that open WebSocket connections.
type dialFlags struct {
	headers      []string
	subprotocols []string
	ca           string
	insecure     bool
}

func (d *dialFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVarP(&d.headers, "header", "H", nil, "`header` of the handshakes, as 'Name: value' (repeatable)")
	f.StringArrayVar(&d.subprotocols, "subprotocol", nil, "`subprotocol` that the handshakes offer (repeatable)")
	f.StringVar(&d.ca, "tls.ca", "", "PEM `file` with certificate authorities for the server, instead of the system's")
	f.BoolVar(&d.insecure, "tls.insecure-skip-verify", false, "accept any certificate of the server")
	noFiles(cmd, "header", "subprotocol")
}

func (d *dialFlags) header() (http.Header, error) {
	all := http.Header{}
	for _, h := range d.headers {
		name, value, ok := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, errors.New("--header: use 'Name: value', such as 'Origin: https://example.com'") // does not quote the value, which may be a token
		}
		switch name = http.CanonicalHeaderKey(name); {
		case name == "Sec-Websocket-Protocol":
			return nil, fmt.Errorf("--header: use --subprotocol instead of %s", name)
		case name == "Upgrade", name == "Connection", strings.HasPrefix(name, "Sec-Websocket-"):
			return nil, fmt.Errorf("--header: leave out %s, which the handshake sets itself", name)
		}
		all.Add(name, strings.TrimSpace(value))
	}
	return all, nil
}

func (d *dialFlags) tls() (*tls.Config, error) {
	cfg := &tls.Config{InsecureSkipVerify: d.insecure}
	if d.ca == "" {
		return cfg, nil
	}
	text, err := os.ReadFile(d.ca)
	if err != nil {
		return nil, fmt.Errorf("--tls.ca: %w", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--tls.ca %s: use a file with a certificate in PEM format", d.ca)
	}
	return cfg, nil
}
