// Bench-forms measures answers that a JSON schema holds, with the tokens that the grammar forces
// computed ahead and without:
//
//	eval "$(scripts/env)"
//	go run ./scripts/bench-forms [-rounds N] [-schema FILE -question TEXT] MODEL.gguf...
//
// Without -schema the form is a receipt of 12 fields: names, enumerations, a date, amounts, a
// pattern, and what is asked is the text of a receipt, another one in each round. The two sides
// take turns, one answer each. Printed are, for each model, the medians of tokens a second from the
// first token to the last, the median of the ratios of pairs, in how many rounds both texts are the
// same, and how many tokens of an answer were computed ahead.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
)

// receipt is the schema that stands in where none is given.
const receipt = `{"type": "object", "properties": {
	"merchant_name": {"type": "string", "maxLength": 32},
	"merchant_city": {"type": "string", "maxLength": 24},
	"purchase_date": {"type": "string", "format": "date"},
	"invoice_number": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$"},
	"number_of_items": {"type": "integer", "minimum": 1, "maximum": 99},
	"currency_code": {"enum": ["EUR", "USD", "GBP", "CHF"]},
	"total_amount": {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 9999},
	"tax_amount": {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 9999},
	"payment_method": {"enum": ["cash", "credit_card", "debit_card", "mobile_payment",
		"bank_transfer"]},
	"loyalty_card_used": {"type": "boolean"},
	"customer_copy": {"type": "boolean"},
	"document_language": {"enum": ["english", "german", "french", "italian", "spanish"]}},
	"required": ["merchant_name", "merchant_city", "purchase_date", "invoice_number",
		"number_of_items", "currency_code", "total_amount", "tax_amount", "payment_method",
		"loyalty_card_used", "customer_copy", "document_language"],
	"additionalProperties": false}`

// shops are what receipts differ by: name, city, currency, payment.
var shops = [][4]string{
	{"Green Valley Market", "Portland", "USD", "Credit card"},
	{"Bakery Sunrise", "London", "GBP", "Cash"},
	{"Hofladen Berger", "Bern", "CHF", "Debit card"},
	{"Librairie du Port", "Marseille", "EUR", "Credit card"},
	{"Ferramenta Rossi", "Milano", "EUR", "Bank transfer"},
	{"North Star Books", "Boston", "USD", "Mobile payment"},
}

// question returns the text of a receipt, and what is asked of it.
func question(round int) string {
	s := shops[round%len(shops)]
	return fmt.Sprintf("Here is a receipt.\n\n%s\n%s\nDate: 2024-%02d-%02d\nInvoice: %c%c-%04d\n"+
		"Items: %d\nTotal: %d.%02d %s\nTax: %d.%02d\nPaid by: %s\nLoyalty card: no\n"+
		"Customer copy\n\nWrite its fields as JSON.", s[0], s[1], 1+round%12, 1+7*round%28,
		'A'+round%26, 'K'+round%16, 1000+37*round, 2+round%9, 10+13*round%90, 11*round%100, s[2],
		1+round%9, 17*round%100, s[3])
}

func main() {
	rounds := flag.Int("rounds", 6, "pairs of answers")
	file := flag.String("schema", "", "`file` of a JSON schema (default: a receipt of 12 fields)")
	asked := flag.String("question", "", "what is asked (default: receipts)")
	threads := flag.Int("threads", 0, "threads that compute (default: all cores)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := bench{rounds: *rounds, schema: receipt, question: question}
	err := b.read(*file, *asked)
	if err == nil {
		err = b.run(ctx, *threads, flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-forms:", err)
		os.Exit(1)
	}
}

type bench struct {
	rounds   int
	schema   string
	question func(round int) string
}

// read takes another schema and question than a receipt's.
func (b *bench) read(file, asked string) error {
	if b.rounds < 1 {
		return errors.New("give one round or more")
	}
	if asked != "" {
		b.question = func(int) string { return asked }
	}
	if file == "" {
		return nil
	}
	if asked == "" {
		return errors.New("a schema needs a -question")
	}
	text, err := os.ReadFile(file)
	b.schema = string(text)
	return err
}

func (b *bench) run(ctx context.Context, threads int, models []string) (err error) {
	if len(models) == 0 {
		return errors.New("give a model; -h says more")
	}
	e, err := engine.New(engine.Options{Threads: threads})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	for _, path := range models {
		if err := b.measure(ctx, e, path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// answer is what is kept of one.
type answer struct {
	text          string
	rate          float64 // tokens a second
	tokens        int
	guessed, good int // tokens computed ahead, those of them that came
}

// measure compares both sides on one model.
func (b *bench) measure(ctx context.Context, e *engine.Engine, path string) (err error) {
	// Each side has a cache of its own, since where cells lie changes the last bits of logits.
	var sides [2]*engine.Model
	for i := range sides {
		if sides[i], err = e.Load(ctx, engine.ModelSpec{Model: path}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, sides[i].Close()) }()
	}
	var rates [2][]float64
	var ratios []float64
	equal := 0
	for round := range b.rounds {
		var pair [2]answer
		for turn := range pair {
			side := (round + turn) % 2
			if pair[side], err = b.ask(ctx, sides[side], round, side == 1); err != nil {
				return err
			}
		}
		without, with := pair[0], pair[1]
		for i := range pair {
			rates[i] = append(rates[i], pair[i].rate)
		}
		ratios = append(ratios, with.rate/without.rate)
		if with.text == without.text {
			equal++
		} else {
			fmt.Printf("round %d, ahead:   %s\nround %d, without: %s\n", round+1, with.text,
				round+1, without.text)
		}
		fmt.Printf("round %d: %.1f and %.1f tokens/s, %d tokens, %d computed ahead, %d of them right\n",
			round+1, with.rate, without.rate, with.tokens, with.guessed, with.good)
	}
	fmt.Printf("%s: %.1f tokens/s ahead, %.1f without; ratio of pairs %.2f (%s)\n", path,
		stats.Median(rates[1]), stats.Median(rates[0]), stats.Median(ratios), stats.Range(ratios))
	fmt.Printf("%s: texts equal %d of %d\n", path, equal, b.rounds)
	return nil
}

func (b *bench) ask(ctx context.Context, m *engine.Model, round int,
	ahead bool) (a answer, err error) {
	r := engine.Request{Messages: []engine.Message{engine.User(engine.Text(b.question(round)))},
		Schema: []byte(b.schema), MaxTokens: 1000, NoSpeculation: !ahead}
	for event, err := range m.Generate(ctx, r) {
		if err != nil {
			return a, err
		}
		a.text += event.Text
		if d := event.Done; d != nil {
			a.tokens = d.Usage.Completion
			a.guessed, a.good = d.Speculation.Guessed, d.Speculation.Right
			a.rate = float64(d.Usage.Completion-1) / d.Timings.Generate.Seconds()
		}
	}
	return a, nil
}
