package scrape

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// decode reads the families of a text in either format.
func (s *Scrape) decode(text []byte) (err error) {
	s.OpenMetrics = isOpenMetrics(text, s.ContentType)
	if s.OpenMetrics {
		if text, err = plainText(text); err != nil {
			return err
		}
	}
	d := expfmt.NewDecoder(bytes.NewReader(text), expfmt.FmtText.WithEscapingScheme(model.NoEscaping))
	for {
		var f dto.MetricFamily
		err := d.Decode(&f)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		s.Families[f.GetName()] = &f
	}
	for line := range bytes.Lines(text) {
		s.declare(string(line))
	}
	return nil
}

func isOpenMetrics(text []byte, contentType string) bool {
	if contentType == "" {
		return bytes.HasSuffix(bytes.TrimRight(text, "\n"), []byte("\n# EOF"))
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == expfmt.OpenMetricsType
}

// declare adds the family of a # TYPE line without samples, which the decoder leaves out.
func (s *Scrape) declare(line string) {
	rest, ok := strings.CutPrefix(line, "# TYPE ")
	fields := strings.Fields(rest)
	if !ok || len(fields) != 2 {
		return
	}
	name := strings.Trim(fields[0], `"`)
	if n, known := dto.MetricType_value[strings.ToUpper(fields[1])]; known && s.Families[name] == nil {
		s.Families[name] = &dto.MetricFamily{Name: &name, Type: dto.MetricType(n).Enum()}
	}
}
