import { defineConfig } from 'vitest/config';

// The bundle must run under a Content-Security-Policy without 'unsafe-inline' and without data: URLs,
// so nothing is inlined and no polyfill is injected.
export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    outDir: '../crates/cluster-gateway/console/dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:4173' } },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
