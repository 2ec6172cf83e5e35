package nv

// Items of the OSAL interface that the simulator itself reads or writes.
const (
	ExtAddr           uint16 = 0x01
	StartupOption     uint16 = 0x03
	NIB               uint16 = 0x21
	AddrMgr           uint16 = 0x23 // packed sticks: all rows in one item
	PollRateOld16     uint16 = 0x24 // aligned sticks: gone, yet success is answered
	ExtendedPANID     uint16 = 0x2D
	NwkActiveKeyInfo  uint16 = 0x3A
	NwkAlternKeyInfo  uint16 = 0x3B
	GroupTable        uint16 = 0x42
	APSUseExtPANID    uint16 = 0x47
	APSLinkKeyTable   uint16 = 0x4C
	OnANetwork        uint16 = 0x55
	HasConfigured     uint16 = 0x60
	PrecfgKey         uint16 = 0x62
	PrecfgKeysEnable  uint16 = 0x63
	SecMaterialStart  uint16 = 0x75 // packed sticks: 12 items
	NwkKey            uint16 = 0x82
	PANID             uint16 = 0x83
	ChanList          uint16 = 0x84
	LogicalType       uint16 = 0x87
	TCLKSeed          uint16 = 0x101
	TCLKTableStart    uint16 = 0x111 // packed sticks: up to 239 items
	APSKeyDataStart   uint16 = 0x201 // packed sticks: up to 255 items
	PollRate          uint16 = 0x35
	configuredZStack1 uint16 = 0xF00
)

// Extended tables of the stack, one row a sub id (aligned sticks).
const (
	TableAddrMgr     uint16 = 1
	TableBinding     uint16 = 2
	TableDeviceList  uint16 = 3
	TableTCLK        uint16 = 4
	TableInstallCode uint16 = 5
	TableAPSKeyData  uint16 = 6
	TableSecMaterial uint16 = 7
)

// itemNames are the names dump files use for items of the OSAL interface.
var itemNames = map[string]uint16{
	"EXTADDR": ExtAddr, "BOOTCOUNTER": 0x02, "STARTUP_OPTION": StartupOption, "START_DELAY": 0x04,
	"NIB": NIB, "DEVICE_LIST": 0x22, "ADDRMGR": AddrMgr, "POLL_RATE_OLD16": PollRateOld16,
	"QUEUED_POLL_RATE": 0x25, "RESPONSE_POLL_RATE": 0x26, "REJOIN_POLL_RATE": 0x27, "DATA_RETRIES": 0x28,
	"POLL_FAILURE_RETRIES": 0x29, "STACK_PROFILE": 0x2A, "INDIRECT_MSG_TIMEOUT": 0x2B,
	"ROUTE_EXPIRY_TIME": 0x2C, "EXTENDED_PAN_ID": ExtendedPANID, "BCAST_RETRIES": 0x2E,
	"PASSIVE_ACK_TIMEOUT": 0x2F, "BCAST_DELIVERY_TIME": 0x30, "NWK_MODE": 0x31, "CONCENTRATOR_ENABLE": 0x32,
	"CONCENTRATOR_DISCOVERY": 0x33, "CONCENTRATOR_RADIUS": 0x34, "POLL_RATE": PollRate,
	"CONCENTRATOR_RC": 0x36, "NWK_MGR_MODE": 0x37, "SRC_RTG_EXPIRY_TIME": 0x38, "ROUTE_DISCOVERY_TIME": 0x39,
	"NWK_ACTIVE_KEY_INFO": NwkActiveKeyInfo, "NWK_ALTERN_KEY_INFO": NwkAlternKeyInfo,
	"ROUTER_OFF_ASSOC_CLEANUP": 0x3C, "NWK_LEAVE_REQ_ALLOWED": 0x3D, "NWK_CHILD_AGE_ENABLE": 0x3E,
	"DEVICE_LIST_KA_TIMEOUT": 0x3F, "BINDING_TABLE": 0x41, "GROUP_TABLE": GroupTable,
	"APS_FRAME_RETRIES": 0x43, "APS_ACK_WAIT_DURATION": 0x44, "APS_ACK_WAIT_MULTIPLIER": 0x45,
	"BINDING_TIME": 0x46, "APS_USE_EXT_PANID": APSUseExtPANID, "APS_USE_INSECURE_JOIN": 0x48,
	"COMMISSIONED_NWK_ADDR": 0x49, "APS_NONMEMBER_RADIUS": 0x4B, "APS_LINK_KEY_TABLE": APSLinkKeyTable,
	"APS_DUPREJ_TIMEOUT_INC": 0x4D, "APS_DUPREJ_TIMEOUT_COUNT": 0x4E, "APS_DUPREJ_TABLE_SIZE": 0x4F,
	"DIAGNOSTIC_STATS": 0x50, "NWK_PARENT_INFO": 0x51, "NWK_ENDDEV_TIMEOUT_DEF": 0x52,
	"END_DEV_TIMEOUT_VALUE": 0x53, "END_DEV_CONFIGURATION": 0x54, "BDBNODEISONANETWORK": OnANetwork,
	"HAS_CONFIGURED_ZSTACK3": HasConfigured, "SECURITY_LEVEL": 0x61, "PRECFGKEY": PrecfgKey,
	"PRECFGKEYS_ENABLE": PrecfgKeysEnable, "SECURITY_MODE": 0x64, "SECURE_PERMIT_JOIN": 0x65,
	"APS_LINK_KEY_TYPE": 0x66, "APS_ALLOW_R19_SECURITY": 0x67, "USE_DEFAULT_TCLK": 0x6D,
	"RNG_COUNTER": 0x6F, "RANDOM_SEED": 0x70, "TRUSTCENTER_ADDR": 0x71, "USERDESC": 0x81, "NWKKEY": NwkKey,
	"PANID": PANID, "CHANLIST": ChanList, "LEAVE_CTRL": 0x85, "SCAN_DURATION": 0x86,
	"LOGICAL_TYPE": LogicalType, "NWKMGR_MIN_TX": 0x88, "NWKMGR_ADDR": 0x89, "ZDO_DIRECT_CB": 0x8F,
	"SCENE_TABLE": 0x91, "SAPI_ENDPOINT": 0xA1, "TCLK_SEED": TCLKSeed,
	"HAS_CONFIGURED_ZSTACK1": configuredZStack1, "APP_ITEM_1": 0xF01, "APP_ITEM_2": 0xF02, "APP_ITEM_3": 0xF03,
	"APP_ITEM_4": 0xF04, "APP_ITEM_5": 0xF05, "APP_ITEM_6": 0xF06, "RF_TEST_PARMS": 0xF07,
}

// rangeNames are the first items of numbered ranges, written as name+index.
var rangeNames = map[string]uint16{
	"LEGACY_NWK_SEC_MATERIAL_TABLE_START": SecMaterialStart,
	"LEGACY_TCLK_TABLE_START":             TCLKTableStart,
	"LEGACY_APS_LINK_KEY_DATA_START":      APSKeyDataStart,
}

// rangeLengths bound the ranges, so that an item is written back under the name it was read by.
var rangeLengths = map[string]uint16{
	"LEGACY_NWK_SEC_MATERIAL_TABLE_START": 12,
	"LEGACY_TCLK_TABLE_START":             239,
	"LEGACY_APS_LINK_KEY_DATA_START":      255,
}

var tableNames = map[string]uint16{
	"ADDRMGR": TableAddrMgr, "BINDING_TABLE": TableBinding, "DEVICE_LIST": TableDeviceList,
	"TCLK_TABLE": TableTCLK, "TCLK_IC_TABLE": TableInstallCode, "APS_KEY_DATA_TABLE": TableAPSKeyData,
	"NWK_SEC_MATERIAL_TABLE": TableSecMaterial,
}
