// Package backup holds the backup of a Zigbee coordinator as the document format other programs write and read,
// version 1 of zigpy/open-coordinator-backup: its content, a reader that names the field it refuses, and a writer.
// It must never know a stick, a file, or what is done with a backup.
package backup
