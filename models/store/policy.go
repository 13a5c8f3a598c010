package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// systemPolicy is where the operator of a machine sets a policy for all stores.
var systemPolicy = "/etc/eyelet/policy.json"

// Policy is what an operator demands of models that come into a store. It is a JSON file:
// policy.json in the store's folder, and /etc/eyelet/policy.json for all stores of the machine.
// Where both are, both hold.
type Policy struct {
	// RequireSignature lets only signed bundles in. What cannot be signed is refused: single files,
	// other programs' stores, registries.
	RequireSignature bool `json:"require_signature"`
	// TrustedKeys are minisign public keys ("RW…"). If there are any, a signature must be by one of
	// them.
	TrustedKeys []string `json:"trusted_keys"`

	from string // the files, for messages
}

// Policy returns what holds for this store. A policy that cannot be read is an error, lest a
// damaged file opens the door.
func (s *Store) Policy() (Policy, error) {
	var all Policy
	for _, path := range []string{systemPolicy, s.dir("policy.json")} {
		p, err := readPolicy(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Policy{}, fmt.Errorf("store: %w: the policy %s: %w", ErrPolicy, path, err)
		}
		all.RequireSignature = all.RequireSignature || p.RequireSignature
		switch {
		case len(p.TrustedKeys) == 0:
		case len(all.TrustedKeys) == 0:
			all.TrustedKeys = p.TrustedKeys
		default:
			all.TrustedKeys = slices.DeleteFunc(all.TrustedKeys, func(key string) bool {
				return !slices.Contains(p.TrustedKeys, key)
			})
			if len(all.TrustedKeys) == 0 {
				return Policy{}, fmt.Errorf("store: %w: %s and %s trust no key in common",
					ErrPolicy, systemPolicy, path)
			}
		}
		if all.from != "" {
			all.from += " and "
		}
		all.from += path
	}
	return all, nil
}

// From names the files that the policy comes from, "" where there is none.
func (p Policy) From() string { return p.from }

func readPolicy(path string) (p Policy, err error) {
	f, err := os.Open(path)
	if err != nil {
		return p, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return p, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields() // a misspelt demand must not be passed over
	return p, d.Decode(&p)
}

// AllowUnsigned returns an error that wraps ErrPolicy if the policy lets only signed bundles in,
// and not what the word names.
func (s *Store) AllowUnsigned(what string) error {
	p, err := s.Policy()
	if err != nil {
		return err
	}
	if p.RequireSignature {
		return fmt.Errorf("store: %w: %s lets only signed bundles in, not %s", ErrPolicy, p.from,
			what)
	}
	return nil
}
