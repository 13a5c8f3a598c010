package server

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// Keys are the API keys that a server takes. The file of keys holds their SHA-256 alone, a line
// each:
//
//	NAME sha256:HEX [requests=N] [rate=N]
//
// requests bounds how many requests of the key are under way at a time, rate how many begin in a
// minute. Empty lines and those that begin with # are passed over. Keys are random and long
// ([NewKey]), so that a plain hash hides them.
//
// Its methods may be called from many goroutines.
type Keys struct {
	mu     sync.RWMutex
	byHash map[[sha256.Size]byte]*Key
}

// Len returns the number of keys.
func (k *Keys) Len() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.byHash)
}

// Replace has k hold the keys of another, which must not be used afterwards. A key that stays as it
// was goes on counting its requests.
func (k *Keys) Replace(by *Keys) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for hash, key := range by.byHash {
		if old := k.byHash[hash]; old != nil && old.Name == key.Name &&
			old.Requests == key.Requests && old.Rate == key.Rate {
			by.byHash[hash] = old
		}
	}
	k.byHash = by.byHash
}

// Has reports whether there is a key of a name.
func (k *Keys) Has(name string) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, key := range k.byHash {
		if key.Name == name {
			return true
		}
	}
	return false
}

// Key is an API key without its secret.
type Key struct {
	Name     string
	Requests int // at a time; 0 for no limit
	Rate     int // a minute; 0 for no limit

	begins *rate.Limiter // nil for no limit
	mu     sync.Mutex
	busy   int
}

const (
	keyPrefix  = "ek-"
	maxKeyFile = 16 << 20
)

var keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// NewKey makes an API key: the secret, which the client is given, and the line that goes into the
// file of keys. Limits, of requests at a time and in a minute, are none where they are 0.
func NewKey(name string, requests, perMinute int) (secret, line string, err error) {
	if !keyName.MatchString(name) {
		return "", "", fmt.Errorf(
			"server: %.100q is no name of a key; give letters, digits, '.', '_', '@' and '-', 64 at most",
			name)
	}
	secret = keyPrefix + rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(secret))
	line = fmt.Sprintf("%s sha256:%s", name, hex.EncodeToString(sum[:]))
	if requests > 0 {
		line += fmt.Sprintf(" requests=%d", requests)
	}
	if perMinute > 0 {
		line += fmt.Sprintf(" rate=%d", perMinute)
	}
	return secret, line, nil
}

// ReadKeys reads a file of keys.
func ReadKeys(path string) (*Keys, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("server: the file of keys: %w", err)
	}
	defer f.Close()
	k, err := ParseKeys(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("server: %s: %w", path, err)
	}
	return k, nil
}

// ParseKeys reads keys. What a line holds is never part of an error, lest a secret that was put
// there by mistake reaches a log.
func ParseKeys(r io.Reader) (*Keys, error) {
	k := &Keys{byHash: map[[sha256.Size]byte]*Key{}}
	names := map[string]bool{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, hash, err := parseKey(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", n, err)
		case names[key.Name]:
			return nil, fmt.Errorf("line %d: the name is taken by a line before", n)
		case k.byHash[hash] != nil:
			return nil, fmt.Errorf("line %d: the key is that of a line before", n)
		}
		names[key.Name], k.byHash[hash] = true, key
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return k, nil
}

func parseKey(line string) (key *Key, hash [sha256.Size]byte, err error) {
	fields := strings.Fields(line)
	if len(fields) < 2 || !keyName.MatchString(fields[0]) {
		return nil, hash, fmt.Errorf("a key is written like NAME sha256:HEX")
	}
	digits, ok := strings.CutPrefix(fields[1], "sha256:")
	sum, err := hex.DecodeString(digits)
	if !ok || err != nil || copy(hash[:], sum) != sha256.Size || len(sum) != sha256.Size {
		return nil, hash, fmt.Errorf(
			"the second word is not sha256: and 64 hexadecimal digits; the key itself must not stand here")
	}
	key = &Key{Name: fields[0]}
	for _, f := range fields[2:] {
		name, text, _ := strings.Cut(f, "=")
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, hash, fmt.Errorf("a limit is written like requests=4 or rate=60")
		}
		switch name {
		case "requests":
			key.Requests = n
		case "rate":
			key.Rate = n
		default:
			return nil, hash, fmt.Errorf("the limits are requests and rate")
		}
	}
	if key.Rate > 0 {
		key.begins = rate.NewLimiter(rate.Limit(float64(key.Rate)/60), key.Rate)
	}
	return key, hash, nil
}

// find returns the key of a secret, nil if there is none. The time it takes tells nothing of the
// keys: their hashes are compared.
func (k *Keys) find(secret string) *Key {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.byHash[sha256.Sum256([]byte(secret))]
}

// begin counts a request, or refuses it.
func (k *Key) begin(now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Requests > 0 && k.busy >= k.Requests {
		return failure.New(http.StatusTooManyRequests, failure.KindRate,
			"the key %s has %d requests under way, as many as it may", k.Name, k.busy).Again(
			time.Second)
	}
	if k.begins != nil {
		turn := k.begins.ReserveN(now, 1)
		if wait := turn.DelayFrom(now); wait > 0 {
			turn.CancelAt(now)
			return failure.New(http.StatusTooManyRequests, failure.KindRate,
				"the key %s may begin %d requests a minute", k.Name, k.Rate).Again(wait)
		}
	}
	k.busy++
	return nil
}

func (k *Key) end() {
	k.mu.Lock()
	k.busy--
	k.mu.Unlock()
}

// secretOf returns the key that a request carries, as OpenAI's and Anthropic's clients send it.
func secretOf(r *http.Request) string {
	if scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok &&
		strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(secret)
	}
	return r.Header.Get("X-Api-Key")
}

// authorize demands an API key where the server has keys, but of those whom the table lets in.
func (s *Server) authorize(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		keys := s.options.Keys
		if keys == nil || s.anyone[r.URL.Path] || isPageFile(r) {
			return next(w, r)
		}
		key := keys.find(secretOf(r))
		if key == nil {
			return failure.New(http.StatusUnauthorized, failure.KindAuth,
				"an API key is needed: send it as Authorization: Bearer KEY")
		}
		rec := recordOf(r.Context())
		rec.key, rec.client = key, key.Name
		if err := key.begin(time.Now()); err != nil {
			return err
		}
		defer key.end()
		return next(w, r)
	}
}
