// Runs dynalite on the first port, and a counting proxy for it on the second port. The proxy requests the consumed
// capacity of each request. `GET /counts` returns the totals for each table and operation.

import http from 'node:http'
import dynalite from 'dynalite'

const [port, countingPort] = process.argv.slice(2).map(Number)
const host = '127.0.0.1'
const counts = {}

function count(operation, answer) {
  const used = [answer.ConsumedCapacity ?? []].flat()
  for (const { TableName, CapacityUnits } of used) {
    const table = (counts[TableName] ??= {})
    const counted = (table[operation] ??= { requests: 0, units: 0 })
    counted.requests += 1
    counted.units += CapacityUnits
  }
}

async function whole(stream) {
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function forward(request, response) {
  if (request.url === '/counts') return response.end(JSON.stringify(counts))
  const body = JSON.parse(await whole(request))
  const asked = Buffer.from(JSON.stringify({ ...body, ReturnConsumedCapacity: 'TOTAL' }))
  const headers = { ...request.headers, 'content-length': asked.length }
  const onward = http.request({ host, port, path: request.url, method: request.method, headers })
  onward.end(asked)
  onward.on('response', async (answer) => {
    const text = await whole(answer)
    count(request.headers['x-amz-target'].split('.').at(-1), JSON.parse(text))
    response.writeHead(answer.statusCode, answer.headers)
    response.end(text)
  })
}

const server = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 })
server.listen(port, host, () => http.createServer(forward).listen(countingPort, host))
