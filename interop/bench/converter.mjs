// What zigbee2mqtt is told of the simulated sensor: the same that peerbee finds out by itself, and where a report's
// time stamp stands.
import { battery, humidity, temperature } from 'zigbee-herdsman-converters/lib/modernExtend'

const stampAttribute = 0xff01

export default {
  zigbeeModel: ['SIM-TH1'],
  model: 'SIM-TH1',
  vendor: 'peerbee-sim',
  description: 'Simulated temperature and humidity sensor',
  extend: [temperature(), humidity(), battery()],
  fromZigbee: [{
    cluster: 'msTemperatureMeasurement',
    type: ['attributeReport'],
    convert: (model, msg) => {
      const stamp = msg.data[stampAttribute]
      return stamp === undefined ? undefined : { stamp: String(stamp) }
    }
  }]
}
