//go:build !unix

package builtin

import "io/fs"

// ownedByUser is true where temporary directories are private to a user, as on Windows.
func ownedByUser(fs.FileInfo) bool { return true }
