// node examples/wasm/run.mjs MODULE: calls every check, each in a module of its own; one that fails traps.
import { readFile } from 'node:fs/promises';

const module = await WebAssembly.compile(await readFile(process.argv[2]));
for (const { name } of WebAssembly.Module.exports(module).filter(({ kind }) => kind === 'function')) {
  const { exports } = await WebAssembly.instantiate(module, {});
  exports[name]();
  console.log(`${name}: passed, ${exports.memory.buffer.byteLength / 65536} pages`);
}
