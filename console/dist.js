// Where the build lies: in the crate whose binary embeds it.
import { fileURLToPath } from 'node:url';

export const dist = fileURLToPath(new URL('../crates/cluster-gateway/console/dist', import.meta.url));
