// Package storetest helps tests of files that must not be readable.
package storetest
