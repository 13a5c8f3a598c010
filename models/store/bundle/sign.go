package bundle

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"aead.dev/minisign"

	"github.com/eyelet-engine/eyelet/models/store"
)

// ErrPassword marks a secret key that the given password does not open.
var ErrPassword = errors.New("the key needs another password")

// PublicKey is a minisign public key.
type PublicKey = minisign.PublicKey

// SecretKey is a minisign secret key.
type SecretKey = minisign.PrivateKey

// ParsePublicKey reads a public key: the base64 text ("RW…"), or the file that minisign writes.
func ParsePublicKey(s string) (PublicKey, error) {
	text := []byte(strings.TrimSpace(s))
	if !strings.HasPrefix(s, "RW") || strings.ContainsAny(s, "/\\.") && len(s) < 56 {
		data, err := readSmall(s)
		if err != nil {
			return PublicKey{}, fmt.Errorf("bundle: the public key: %w", err)
		}
		text = data
	}
	var key PublicKey
	if err := key.UnmarshalText(text); err != nil {
		return key, fmt.Errorf("bundle: %w: %.100q is no minisign public key; that is the file whose name ends in .pub, or its last line", ErrSignature, s)
	}
	return key, nil
}

// ReadSecretKey reads a minisign secret key from a file. password is asked only where the key is
// encrypted. Errors wrap ErrPassword or ErrSignature.
func ReadSecretKey(path string, password func() (string, error)) (key SecretKey, err error) {
	data, err := readSmall(path)
	if err != nil {
		return key, fmt.Errorf("bundle: the secret key: %w", err)
	}
	if !minisign.IsEncrypted(data) {
		if err := key.UnmarshalText(data); err != nil {
			return key, fmt.Errorf("bundle: %w: %s is no minisign secret key", ErrSignature, path)
		}
		return key, nil
	}
	word, err := password()
	if err != nil {
		return key, err
	}
	if key, err = minisign.DecryptKey(word, data); err != nil {
		return key, fmt.Errorf("bundle: %s: %w", path, ErrPassword)
	}
	return key, nil
}

// NewKey writes a new key pair in minisign's format: the secret one to path, for its owner's eyes
// only and encrypted if there is a password, and the public one to path.pub. Files that are there
// are not replaced.
func NewKey(path, password string) (PublicKey, error) {
	for _, file := range []string{path, path + ".pub"} {
		if _, err := os.Lstat(file); err == nil {
			return PublicKey{}, fmt.Errorf(
				"bundle: %s is there already, and a key is never replaced; choose another name",
				file)
		}
	}
	public, secret, err := minisign.GenerateKey(nil)
	if err != nil {
		return public, fmt.Errorf("bundle: %w", err)
	}
	text, err := secret.MarshalText()
	if password != "" {
		text, err = minisign.EncryptKey(password, secret)
	}
	if err != nil {
		return public, fmt.Errorf("bundle: %w", err)
	}
	publicText, err := public.MarshalText()
	if err != nil {
		return public, fmt.Errorf("bundle: %w", err)
	}
	if err := writeNew(path, text, 0o600); err != nil {
		return public, err
	}
	return public, writeNew(path+".pub", publicText, 0o644)
}

func writeNew(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	return nil
}

// readSmall reads a key, from a pipe too, so that a secret one need not lie on a disk.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSignature))
}

// sign signs the whole of r, hashed first, as minisign does by default.
func sign(key SecretKey, r io.Reader, comment string) ([]byte, error) {
	hashed := minisign.NewReader(r)
	if _, err := io.Copy(io.Discard, hashed); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return hashed.SignWithComments(key, comment, "signature by eyelet, for minisign"), nil
}

// signers returns the keys of which one must have signed, and why a bundle without a signature is
// refused, "" if it is not.
func signers(policy store.Policy, given []PublicKey) (keys []PublicKey, demand string, err error) {
	if len(given) > 0 {
		demand = "a key was given that must have signed it"
	}
	if policy.RequireSignature {
		demand = policy.From() + " demands that"
	}
	var trusted []PublicKey
	for _, text := range policy.TrustedKeys {
		var key PublicKey
		if err := key.UnmarshalText([]byte(text)); err != nil {
			return nil, "", fmt.Errorf(
				"bundle: %w: %s trusts %.100q, which is no minisign public key", store.ErrPolicy,
				policy.From(), text)
		}
		trusted = append(trusted, key)
	}
	if len(trusted) == 0 {
		return given, demand, nil
	}
	if len(given) == 0 {
		return trusted, demand, nil
	}
	for _, key := range given {
		for _, t := range trusted {
			if key.Equal(t) {
				keys = append(keys, key)
			}
		}
	}
	if len(keys) == 0 {
		return nil, "", fmt.Errorf("bundle: %w: %s does not trust the given key", store.ErrPolicy,
			policy.From())
	}
	return keys, demand, nil
}

// checkSignature returns the key that signed the index, nil if nobody asked for one. signature is
// nil for a bundle without; demand says why there must be one.
func checkSignature(index, signature []byte, keys []PublicKey, demand string) (*PublicKey, error) {
	switch {
	case signature == nil && demand != "":
		return nil, fmt.Errorf("bundle: %w: it is not signed, and %s", ErrSignature, demand)
	case signature == nil || len(keys) == 0 && demand == "":
		return nil, nil
	case len(keys) == 0:
		return nil, fmt.Errorf(
			"bundle: %w: a signature is demanded and no key is trusted; name a key to trust",
			ErrSignature)
	}
	var s minisign.Signature
	if err := s.UnmarshalText(signature); err != nil {
		return nil, fmt.Errorf("bundle: %w: it is no signature of minisign's", ErrSignature)
	}
	for _, key := range keys {
		if key.ID() != s.KeyID {
			continue
		}
		if !minisign.Verify(key, index, signature) {
			return nil, fmt.Errorf("bundle: %w: the key %X did not sign this index", ErrSignature,
				key.ID())
		}
		return &key, nil
	}
	return nil, fmt.Errorf("bundle: %w: it is signed by the key %X, which is not trusted",
		ErrSignature, s.KeyID)
}
