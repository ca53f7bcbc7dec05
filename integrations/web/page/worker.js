// Runs in a worker, after the code of onnxruntime-web, which defines `ort`. Upscales one tile per message.
let session;
onmessage = async ({ data }) => {
  try {
    if (data.network) {
      ort.env.wasm.numThreads = 1; // several workers run side by side instead
      ort.env.wasm.wasmBinary = data.wasm;
      session = await ort.InferenceSession.create(data.network, { executionProviders: [data.engine] });
      postMessage({ ready: true });
      return;
    }
    const { pixels, width, height, tile } = data; // RGBA
    const area = width * height;
    const input = new Float32Array(3 * area);
    for (let i = 0; i < area; i++) {
      for (let c = 0; c < 3; c++) input[c * area + i] = pixels[4 * i + c] / 255;
    }
    const { output } = await session.run({ input: new ort.Tensor("float32", input, [1, 3, height, width]) });
    const values = await output.getData();
    const [, , high, wide] = output.dims;
    const result = new Uint8ClampedArray(4 * high * wide); // rounds and clips
    for (let i = 0; i < high * wide; i++) {
      for (let c = 0; c < 3; c++) result[4 * i + c] = 255 * values[c * high * wide + i];
      result[4 * i + 3] = 255;
    }
    output.dispose();
    postMessage({ tile, result, width: wide, height: high }, [result.buffer]);
  } catch (error) {
    postMessage({ failed: String(error?.message ?? error) });
  }
};
