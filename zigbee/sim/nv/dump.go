package nv

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrDump is returned for a dump file that cannot be understood.
var ErrDump = errors.New("not a memory dump of a Z-Stack stick")

// legacySection holds the items of the OSAL interface; the other sections are extended tables.
const legacySection = "LEGACY"

// maxDump bounds a dump file; a full memory takes less than 200 KiB of JSON.
const maxDump = 4 << 20

// Load reads a dump: a JSON object of sections, each an object of item name to bytes in hex. The struct layout
// is told from the length of NWKKEY (24 aligned, 21 packed).
func Load(path string) (*Memory, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("reading the stick's memory: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	if st, err := f.Stat(); err == nil && st.Size() > maxDump {
		return nil, fmt.Errorf("%w: %s is larger than %d bytes", ErrDump, path, maxDump)
	}
	var sections map[string]map[string]string
	if err := json.NewDecoder(f).Decode(&sections); err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrDump, path, err) //nolint:errorlint // one sentinel for the caller
	}
	m, err := fromSections(sections)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func fromSections(sections map[string]map[string]string) (*Memory, error) {
	m := New(true)
	for section, items := range sections {
		for name, text := range items {
			id, err := itemID(section, name)
			if err != nil {
				return nil, err
			}
			value, err := hex.DecodeString(text)
			if err != nil {
				return nil, fmt.Errorf("%w: %s %s is not hex", ErrDump, section, name)
			}
			if !m.Set(id, value) {
				return nil, fmt.Errorf("%w: more than %d bytes", ErrDump, capacity)
			}
		}
	}
	switch n := m.Len(Legacy(NwkKey)); n {
	case 24:
	case 21:
		m.Aligned = false
	default:
		return nil, fmt.Errorf("%w: NWKKEY has %d bytes, not 21 or 24", ErrDump, n)
	}
	m.dirty = false
	return m, nil
}

func itemID(section, name string) (ID, error) {
	if section != legacySection {
		table, ok := tableNames[section]
		row, err := strconv.ParseUint(name, 0, 16)
		if !ok || err != nil {
			return ID{}, fmt.Errorf("%w: unknown row %s of table %s", ErrDump, name, section)
		}
		return Table(table, uint16(row)), nil
	}
	if id, ok := itemNames[name]; ok {
		return Legacy(id), nil
	}
	if base, index, ok := strings.Cut(name, "+"); ok {
		first, known := rangeNames[base]
		i, err := strconv.ParseUint(index, 10, 16)
		if known && err == nil && uint16(i) < rangeLengths[base] {
			return Legacy(first + uint16(i)), nil
		}
	}
	if id, err := strconv.ParseUint(name, 0, 16); err == nil {
		return Legacy(uint16(id)), nil
	}
	return ID{}, fmt.Errorf("%w: unknown item %s", ErrDump, name)
}

// Save writes the dump file by way of a new file beside it, so that a kill leaves the old or the new one whole.
func (m *Memory) Save(path string) error {
	text, err := json.MarshalIndent(m.sections(), "", "    ")
	if err != nil {
		return fmt.Errorf("encoding the stick's memory: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("saving the stick's memory: %w", err)
	}
	_, err = tmp.Write(append(text, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("saving the stick's memory: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}

func (m *Memory) sections() map[string]map[string]string {
	out := map[string]map[string]string{legacySection: {}}
	for id, value := range m.items {
		section, name := itemName(id)
		if out[section] == nil {
			out[section] = map[string]string{}
		}
		out[section][name] = hex.EncodeToString(value)
	}
	return out
}

// itemName is the reverse of itemID. Items of other systems are not the stack's and have no name in a dump.
func itemName(id ID) (section, name string) {
	if id.Item != 0 {
		for table, item := range tableNames {
			if item == id.Item {
				return table, fmt.Sprintf("0x%04X", id.Sub)
			}
		}
	}
	for known, item := range itemNames {
		if item == id.Sub {
			return legacySection, known
		}
	}
	for base, first := range rangeNames {
		if id.Sub >= first && id.Sub-first < rangeLengths[base] {
			return legacySection, fmt.Sprintf("%s+%d", base, id.Sub-first)
		}
	}
	return legacySection, fmt.Sprintf("0x%04X", id.Sub)
}
