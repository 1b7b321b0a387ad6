package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/otelws/otelws-go/cmd/otelws/internal/secret"
)

// Watch shows the answers to q on a terminal, until the user quits or ctx is done.
func Watch(ctx context.Context, s *Source, q Query, every time.Duration, opts ...tea.ProgramOption) error {
	m := newScreen(ctx, s, q, every)
	_, err := tea.NewProgram(m, append(opts, tea.WithContext(ctx))...).Run()
	if ctx.Err() != nil || errors.Is(err, tea.ErrInterrupted) {
		return nil //nolint:nilerr // the user or ctx has ended it
	}
	return err
}

// screen is the state of the display. It is a [tea.Model].
type screen struct {
	ctx    context.Context
	source *Source
	query  Query
	every  time.Duration

	answer  *Answer
	err     error
	asking  bool // a request is in progress
	stale   bool // the query has changed since the request
	paused  bool
	closed  bool   // show the connections that have ended
	at      int    // the selected row
	details bool   // show the details of that row
	typing  bool   // the user is typing the filter
	typed   string // the filter so far

	width, height int
}

func newScreen(ctx context.Context, s *Source, q Query, every time.Duration) *screen {
	return &screen{ctx: ctx, source: s, query: q, every: every, width: 80, height: 24}
}

type (
	answered struct {
		answer *Answer
		err    error
	}
	tick struct{}
)

var (
	titleStyle  = ansi.Style{}.Bold()
	chosenStyle = ansi.Style{}.Reverse(true)
	badStyle    = ansi.Style{}.Bold().ForegroundColor(ansi.Red)
	faintStyle  = ansi.Style{}.Faint()
)

func (m *screen) Init() tea.Cmd { return m.ask() }

// ask sends a request, unless one is in progress.
func (m *screen) ask() tea.Cmd {
	if m.asking {
		m.stale = true
		return nil
	}
	m.asking, m.stale = true, false
	q := m.query
	return func() tea.Msg {
		a, err := m.source.Get(m.ctx, q)
		return answered{a, err}
	}
}

func (m *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case answered:
		m.asking, m.err = false, msg.err
		if msg.answer != nil {
			m.answer = msg.answer
		}
		m.move(0)
		if m.stale {
			return m, m.ask()
		}
		return m, tea.Tick(m.every, func(time.Time) tea.Msg { return tick{} })
	case tick:
		if !m.paused {
			return m, m.ask()
		}
		return m, tea.Tick(m.every, func(time.Time) tea.Msg { return tick{} })
	case tea.KeyPressMsg:
		if m.typing {
			return m, m.typeKey(msg)
		}
		return m, m.key(msg.String())
	}
	return m, nil
}

// sortKeys are the keys to press for Sorts, in the same order.
const sortKeys = "rsiatuw"

func (m *screen) key(key string) tea.Cmd {
	switch key {
	case "q", "ctrl+c":
		return tea.Quit
	case "esc":
		m.details = false
	case "enter":
		m.details = !m.details && len(m.rows()) > 0
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-m.room())
	case "pgdown":
		m.move(m.room())
	case "home", "g":
		m.move(-len(m.rows()))
	case "end", "G":
		m.move(len(m.rows()))
	case "tab", "c":
		m.closed, m.at, m.details = !m.closed, 0, false
	case "space", "p":
		m.paused = !m.paused
	case "/":
		m.typing, m.typed = true, m.query.Filter
	case "o":
		roles := []string{"", "server", "client"}
		m.query.Role = roles[(slices.Index(roles, m.query.Role)+1)%len(roles)]
		return m.ask()
	default:
		if i := strings.Index(sortKeys, key); i >= 0 && len(key) == 1 {
			m.query.Sort, m.at, m.closed = Sorts[i], 0, false
			return m.ask()
		}
	}
	return nil
}

// typeKey handles a key while the user is typing the filter.
func (m *screen) typeKey(msg tea.KeyPressMsg) tea.Cmd {
	switch key := msg.String(); key {
	case "ctrl+c":
		return tea.Quit
	case "esc":
		m.typing = false
	case "enter":
		m.typing, m.query.Filter, m.at = false, m.typed, 0
		return m.ask()
	case "backspace":
		if r := []rune(m.typed); len(r) > 0 {
			m.typed = string(r[:len(r)-1])
		}
	case "ctrl+u":
		m.typed = ""
	default:
		m.typed += msg.Text
	}
	return nil
}

func (m *screen) rows() []Connection {
	switch {
	case m.answer == nil:
		return nil
	case m.closed:
		return m.answer.Closed
	}
	return m.answer.Connections
}

func (m *screen) move(by int) {
	m.at = max(min(m.at+by, len(m.rows())-1), 0)
	if len(m.rows()) == 0 {
		m.details = false
	}
}

// room returns the number of rows that fit between the header and the footer.
func (m *screen) room() int { return max(m.height-6, 1) }

func (m *screen) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen = true
	v.WindowTitle = "otelws top"
	return v
}

func (m *screen) lines() []string {
	all := []string{titleStyle.Styled(m.source.String()), m.status(), ""}
	if m.details && m.at < len(m.rows()) {
		all = append(all, details(&m.rows()[m.at])...)
		all = all[:max(min(len(all), m.height-2), 0)]
	} else {
		all = append(all, m.table()...)
	}
	for len(all) < m.height-2 {
		all = append(all, "")
	}
	all = append(all, "", m.footer())
	for i := range all {
		all[i] = ansi.Truncate(all[i], m.width, "")
	}
	return all
}

// status returns the totals, or the reason why they are not up to date.
func (m *screen) status() string {
	switch {
	case m.err != nil:
		return badStyle.Styled("Not up to date: " + clean(secret.Hide(m.err.Error())))
	case m.answer == nil:
		return "Loading..."
	case m.paused:
		return "Paused: " + m.answer.summary()
	}
	return m.answer.summary()
}

func (m *screen) table() []string {
	if m.answer == nil {
		return nil
	}
	columns, sort := openColumns, m.query.Sort
	if m.closed {
		columns, sort = closedColumns, ""
	}
	rows := m.rows()
	all := fitting(columns, rows, sort, m.width)
	all[0] = titleStyle.Styled(all[0])
	if len(rows) == 0 {
		return append(all, faintStyle.Styled("none"))
	}
	first := max(min(m.at-m.room()/2, len(rows)-m.room()), 0)
	last := min(first+m.room(), len(rows))
	shown := slices.Clone(all[:1])
	for i := first; i < last; i++ {
		line := all[1+i]
		switch {
		case i == m.at:
			line = chosenStyle.Styled(line + strings.Repeat(" ", max(m.width-ansi.StringWidth(line), 0)))
		case m.closed && rows[i].Code == 1006 || rows[i].Writing > 1:
			line = badStyle.Styled(line)
		}
		shown = append(shown, line)
	}
	return shown
}

func (m *screen) footer() string {
	if m.typing {
		return "Filter: " + clean(m.typed) + "_  " + faintStyle.Styled("address, plan=pro, state=peer_gone, id=7; enter, esc")
	}
	var keys []string
	for i, sort := range Sorts {
		keys = append(keys, fmt.Sprintf("%c %s", sortKeys[i], sort))
	}
	const others = "  / filter  o role  tab ended  enter details  p pause  q quit"
	text := strings.Join(keys, "  ") + others
	if ansi.StringWidth(text) > m.width {
		text = strings.Join(strings.Split(sortKeys, ""), " ") + " sort" + others
	}
	if m.query.Filter != "" {
		text = "[" + clean(m.query.Filter) + "]  " + text
	}
	if m.query.Role != "" {
		text = "[" + m.query.Role + "]  " + text
	}
	return faintStyle.Styled(text)
}
