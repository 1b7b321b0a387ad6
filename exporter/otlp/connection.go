package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// validateConnection rejects values that the stock exporters would ignore or replace by a default,
// with only a line in a log. Telemetry would then go to another place, unencrypted, or without its
// credentials.
func validateConnection(signal, protocol string) error {
	if key, v := signalVariable(signal, "ENDPOINT"); v != "" {
		if err := validateEndpoint(v, protocol); err != nil {
			// The value may hold a password.
			return fmt.Errorf("invalid %s: %w", key, err)
		}
	}
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_" + signal + "_"} {
		if err := validateHeaders(getenv(prefix + "HEADERS")); err != nil {
			return fmt.Errorf("invalid %sHEADERS: %w", prefix, err)
		}
		if _, err := milliseconds(prefix+"TIMEOUT", defaultExportTimeout); err != nil {
			return err
		}
		if v := getenv(prefix + "COMPRESSION"); v != "" && v != "gzip" && v != "none" {
			return invalid(prefix+"COMPRESSION", v, "use gzip or none")
		}
		if _, err := boolean(prefix + "INSECURE"); err != nil {
			return err
		}
		if err := validateCertificates(prefix); err != nil {
			return err
		}
	}
	return nil
}

func validateEndpoint(value, protocol string) error {
	u, err := url.Parse(value)
	if err != nil {
		return errors.New("use a URL, such as http://localhost:4318")
	}
	scheme := strings.ToLower(u.Scheme)
	if web := scheme == "http" || scheme == "https"; web && u.Hostname() == "" || !web && protocol != protocolGRPC {
		return errors.New("use a URL with http or https and a host, such as http://localhost:4318")
	}
	return nil
}

// portAdvice returns advice for failed exports if the port is the usual one of the other protocol.
// The errors of the clients do not tell: they speak of malformed responses and frames.
func portAdvice(signal, protocol string) string {
	_, endpoint := signalVariable(signal, "ENDPOINT")
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	switch port := u.Port(); {
	case port == "4317" && protocol != protocolGRPC:
		return "port 4317 is usually for gRPC: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or use port 4318"
	case port == "4318" && protocol == protocolGRPC:
		return "port 4318 is usually for HTTP: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or use port 4317"
	}
	return ""
}

// failed returns the error of an export of what, with advice if there is some.
func failed(what string, err error, advice string) error {
	if advice == "" {
		return fmt.Errorf("failed to export %s: %w", what, err)
	}
	return fmt.Errorf("failed to export %s: %w (%s)", what, err, advice)
}

func validateHeaders(value string) error {
	for i, pair := range list(value) {
		name, v, ok := strings.Cut(pair, "=")
		_, err := url.PathUnescape(v)
		if !ok || strings.TrimSpace(name) == "" || strings.ContainsAny(strings.TrimSpace(name), " \t\r\n:;\"()<>@,/[]?={}\\") || err != nil {
			return fmt.Errorf("header %d is malformed: use name=value pairs, separated by commas, with %%-escapes in the values", i+1)
		}
	}
	return nil
}

func validateCertificates(prefix string) error {
	if path := getenv(prefix + "CERTIFICATE"); path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("invalid %sCERTIFICATE: %w", prefix, err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return invalid(prefix+"CERTIFICATE", path, "use a file with a certificate in PEM format")
		}
	}
	cert, key := getenv(prefix+"CLIENT_CERTIFICATE"), getenv(prefix+"CLIENT_KEY")
	if cert == "" && key == "" {
		return nil
	}
	if cert == "" || key == "" {
		return fmt.Errorf("invalid %sCLIENT_CERTIFICATE and _CLIENT_KEY: set both or neither", prefix)
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		return fmt.Errorf("invalid %sCLIENT_CERTIFICATE and _CLIENT_KEY: %w", prefix, err)
	}
	return nil
}
