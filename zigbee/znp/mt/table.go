package mt

import (
	"errors"

	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// ErrUnknown says that a command is not in the table.
var ErrUnknown = errors.New("unknown command")

// Info describes one command.
type Info struct {
	Command Command
	Name    string
	New     func() Message // an empty message of the command's type
	// Indication is the AREQ that brings the result of a SREQ; the zero Command where there is none.
	Indication Command
}

// exchange is one SREQ with what comes back.
type exchange struct {
	name       string
	request    func() Message
	response   func() Message // nil: a StatusRsp
	indication func() Message // nil: none
}

func of[T any, M interface {
	*T
	Message
}]() Message {
	return M(new(T))
}

// ended is the status indication that ends the ZDO request T.
func ended[T any, M interface {
	*T
	Message
}]() Message {
	return &ZDOStatusRsp{Of: M(new(T)).Command()}
}

var exchanges = []exchange{
	{"SYS_PING", of[SysPing], of[SysPingRsp], nil},
	{"SYS_VERSION", of[SysVersion], of[SysVersionRsp], nil},
	{"SYS_GET_EXT_ADDR", of[SysGetExtAddr], of[SysGetExtAddrRsp], nil},
	{"SYS_NV_ITEM_INIT", of[NVItemInit], nil, nil},
	{"SYS_NV_READ", of[NVRead], of[NVReadRsp], nil},
	{"SYS_NV_WRITE", of[NVWrite], nil, nil},
	{"SYS_NV_DELETE", of[NVDelete], nil, nil},
	{"SYS_NV_LENGTH", of[NVLength], of[NVLengthRsp], nil},
	{"SYS_NV_READ_EXT", of[NVReadExt], of[NVReadExtRsp], nil},
	{"SYS_NV_WRITE_EXT", of[NVWriteExt], nil, nil},
	{"SYS_NV_EXT_CREATE", of[ExtNVCreate], nil, nil},
	{"SYS_NV_EXT_DELETE", of[ExtNVDelete], nil, nil},
	{"SYS_NV_EXT_LENGTH", of[ExtNVLength], of[ExtNVLengthRsp], nil},
	{"SYS_NV_EXT_READ", of[ExtNVRead], of[ExtNVReadRsp], nil},
	{"SYS_NV_EXT_WRITE", of[ExtNVWrite], nil, nil},
	{"SYS_NV_EXT_UPDATE", of[ExtNVUpdate], nil, nil},
	{"SYS_NV_EXT_COMPACT", of[ExtNVCompact], nil, nil},
	{"AF_REGISTER", of[AFRegister], nil, nil},
	{"AF_DATA_REQUEST", of[AFDataRequest], nil, of[AFDataConfirm]},
	{"AF_DATA_REQUEST_EXT", of[AFDataRequestExt], nil, of[AFDataConfirm]},
	{"AF_DATA_REQUEST_SRC_RTG", of[AFDataRequestSrcRtg], nil, of[AFDataConfirm]},
	{"AF_DATA_STORE", of[AFDataStore], nil, nil},
	{"AF_DATA_RETRIEVE", of[AFDataRetrieve], of[AFDataRetrieveRsp], nil},
	{"ZDO_NWK_ADDR_REQ", of[ZDONwkAddrReq], nil, of[ZDONwkAddrRsp]},
	{"ZDO_IEEE_ADDR_REQ", of[ZDOIEEEAddrReq], nil, of[ZDOIEEEAddrRsp]},
	{"ZDO_NODE_DESC_REQ", of[ZDONodeDescReq], nil, of[ZDONodeDescRsp]},
	{"ZDO_SIMPLE_DESC_REQ", of[ZDOSimpleDescReq], nil, of[ZDOSimpleDescRsp]},
	{"ZDO_ACTIVE_EP_REQ", of[ZDOActiveEPReq], nil, of[ZDOActiveEPRsp]},
	{"ZDO_BIND_REQ", of[ZDOBindReq], nil, ended[ZDOBindReq]},
	{"ZDO_UNBIND_REQ", of[ZDOUnbindReq], nil, ended[ZDOUnbindReq]},
	{"ZDO_MGMT_LQI_REQ", of[ZDOMgmtLqiReq], nil, of[ZDOMgmtLqiRsp]},
	{"ZDO_MGMT_RTG_REQ", of[ZDOMgmtRtgReq], nil, of[ZDOMgmtRtgRsp]},
	{"ZDO_MGMT_LEAVE_REQ", of[ZDOMgmtLeaveReq], nil, ended[ZDOMgmtLeaveReq]},
	{"ZDO_MGMT_PERMIT_JOIN_REQ", of[ZDOMgmtPermitJoinReq], nil, ended[ZDOMgmtPermitJoinReq]},
	{"ZDO_MGMT_NWK_UPDATE_REQ", of[ZDOMgmtNwkUpdateReq], nil, of[ZDOMgmtNwkUpdateNotify]},
	{"ZDO_MSG_CB_REGISTER", of[ZDOMsgCbRegister], nil, nil},
	{"ZDO_STARTUP_FROM_APP", of[ZDOStartupFromApp], nil, nil},
	{"ZDO_EXT_ROUTE_DISC", of[ZDOExtRouteDisc], nil, nil},
	{"ZDO_EXT_ADD_GROUP", of[ZDOExtAddGroup], nil, nil},
	{"ZDO_EXT_NWK_INFO", of[ZDOExtNwkInfo], of[ZDOExtNwkInfoRsp], nil},
	{"UTIL_GET_DEVICE_INFO", of[UtilGetDeviceInfo], of[UtilGetDeviceInfoRsp], nil},
	{"UTIL_LED_CONTROL", of[UtilLEDControl], nil, nil},
	{"UTIL_ASSOC_COUNT", of[UtilAssocCount], of[UtilAssocCountRsp], nil},
	{"UTIL_ASSOC_FIND_DEVICE", of[UtilAssocFindDevice], of[UtilAssocFindDeviceRsp], nil},
	{"UTIL_ASSOC_GET_WITH_ADDRESS", of[UtilAssocGetWithAddress], of[UtilAssocGetWithAddressRsp], nil},
	{"UTIL_ASSOC_REMOVE", of[UtilAssocRemove], nil, nil},
	{"UTIL_ASSOC_ADD", of[UtilAssocAdd], nil, nil},
	{"APP_CNF_BDB_ADD_INSTALL_CODE", of[BDBAddInstallCode], nil, nil},
	{"APP_CNF_BDB_START_COMMISSIONING", of[BDBStartCommissioning], nil, nil},
	{"APP_CNF_BDB_JOIN_USES_INSTALL_CODE", of[BDBJoinUsesInstallCode], nil, nil},
	{"APP_CNF_BDB_SET_CHANNEL", of[BDBSetChannel], nil, nil},
}

// unasked are the AREQs that answer nothing, in either direction.
var unasked = []struct {
	name    string
	message func() Message
}{
	{"SYS_RESET_REQ", of[SysResetReq]},
	{"SYS_RESET_IND", of[SysResetInd]},
	{"AF_INCOMING_MSG", of[AFIncomingMsg]},
	{"AF_INCOMING_MSG_EXT", of[AFIncomingMsgExt]},
	{"ZDO_STATE_CHANGE_IND", of[ZDOStateChangeInd]},
	{"ZDO_END_DEVICE_ANNCE_IND", of[ZDOEndDeviceAnnceInd]},
	{"ZDO_SRC_RTG_IND", of[ZDOSrcRtgInd]},
	{"ZDO_CONCENTRATOR_IND", of[ZDOConcentratorInd]},
	{"ZDO_LEAVE_IND", of[ZDOLeaveInd]},
	{"ZDO_TC_DEV_IND", of[ZDOTCDevInd]},
	{"ZDO_PERMIT_JOIN_IND", of[ZDOPermitJoinInd]},
	{"ZDO_MSG_CB_INCOMING", of[ZDOMsgCbIncoming]},
	{"APP_CNF_BDB_NOTIFICATION", of[BDBNotification]},
}

var table = buildTable()

func buildTable() map[Command]Info {
	t := map[Command]Info{}
	add := func(name string, create func() Message, indication Command) {
		cmd := create().Command()
		t[cmd] = Info{Command: cmd, Name: name, New: create, Indication: indication}
	}
	for _, e := range exchanges {
		request := e.request().Command()
		var indication Command
		if e.indication != nil {
			indication = e.indication().Command()
			add(indicationName(e), e.indication, Command{})
		}
		add(e.name, e.request, indication)
		response := e.response
		if response == nil {
			response = func() Message { return &StatusRsp{Of: request} }
		}
		add(e.name+" SRSP", response, Command{})
	}
	for _, u := range unasked {
		add(u.name, u.message, Command{})
	}
	add("RPC_ERROR", of[RPCError], Command{})
	return t
}

// indicationName names the AREQ of an exchange; the three data requests share theirs.
func indicationName(e exchange) string {
	if e.indication().Command() == areq(unpi.AF, 0x80) {
		return "AF_DATA_CONFIRM"
	}
	return e.name + " AREQ"
}

// Lookup finds a command's description.
func Lookup(c Command) (Info, bool) {
	info, ok := table[c]
	return info, ok
}

// Commands gives the description of every known command, in no order.
func Commands() []Info {
	all := make([]Info, 0, len(table))
	for _, info := range table {
		all = append(all, info)
	}
	return all
}
