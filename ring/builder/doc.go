// Package builder makes rings: it keeps the devices and their weights, assigns partitions to them, and is the only
// writer of ring files.
package builder
