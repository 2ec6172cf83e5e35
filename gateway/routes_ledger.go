package gateway

import (
	"context"
	"errors"
	"net/http"

	"github.com/peerbee/peerbee/blockchain"
	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi"
	"github.com/peerbee/peerbee/gateway/reading"
)

// maxLedgerRows bounds one answer of the log; the newest are shown.
const maxLedgerRows = 1000

func (g *Gateway) ledgerLog(context.Context, *localapi.Request) (any, error) {
	size := g.ledger.Stats().Records
	entries, err := g.ledger.Log(max(0, size-maxLedgerRows), maxLedgerRows)
	if err != nil {
		return nil, err
	}
	return g.showEntries(entries), nil
}

func (g *Gateway) ledgerDevice(_ context.Context, r *localapi.Request) (any, error) {
	id, err := g.ledgerID(r.PathValue("device"))
	if err != nil {
		return nil, err
	}
	entries, err := g.ledger.Chain(id)
	if err != nil {
		return nil, explainLedger(err)
	}
	return g.showEntries(entries), nil
}

func (g *Gateway) ledgerProof(_ context.Context, r *localapi.Request) (string, []byte, error) {
	id, err := g.ledgerID(r.PathValue("device"))
	if err != nil {
		return "", nil, err
	}
	var options []blockchain.ProveOption
	if r.URL.Query().Get("open") == "true" {
		options = append(options, blockchain.WithOpening())
	}
	proof, err := g.ledger.Prove(id, options...)
	return "application/cbor", proof, explainLedger(err)
}

// ledgerID takes a name, or an address even of a device that is no longer on the list.
func (g *Gateway) ledgerID(device string) (blockchain.DeviceID, error) {
	if m, ok := g.roster.find(device); ok {
		_, record, _ := g.roster.snapshot(m)
		return blockchain.DeviceIDFromUint64(uint64(record.IEEE)), nil
	}
	id, err := blockchain.ParseDeviceID(device)
	if err != nil {
		return id, localapi.Errorf(http.StatusNotFound, "no device %q", device).WithHint("peerbee devices lists names and addresses")
	}
	return id, nil
}

func explainLedger(err error) error {
	if errors.Is(err, blockchain.ErrUnknownDevice) {
		return localapi.Errorf(http.StatusNotFound, "%v", err).WithHint("a device is registered when its interview is done: peerbee devices")
	}
	return err
}

func (g *Gateway) showEntries(entries []blockchain.Entry) []api.LedgerEntry {
	list := make([]api.LedgerEntry, 0, len(entries))
	for _, e := range entries {
		out := api.LedgerEntry{Index: uint64(e.Index), ID: e.ID.String(), Type: e.Record.Type.String(), Seq: e.Record.Seq, Owner: e.Record.AID.String(), Time: e.Record.Time}
		if e.Record.AID == (blockchain.AID{}) { // an inception: the AID is its own hash
			out.Owner = g.ledger.AID().String()
		}
		if e.Record.Chain != (blockchain.RecordID{}) {
			out.Chain = e.Record.Chain.String()
		}
		if e.Device != nil {
			out.Device = e.Device.String()
			if _, err := reading.ParseStreamKey(out.Device); err == nil {
				out.Name = g.roster.name(out.Device)
			}
		}
		list = append(list, out)
	}
	return list
}
