interface ServerPlace {
  readonly socketDirectory: string;
  readonly port: number;
  readonly durable: boolean;
}

/** Settings for one program on a small machine: a Unix socket only, few sessions, little memory, no replication. */
export function serverSettings({ socketDirectory, port, durable }: ServerPlace): Readonly<Record<string, string>> {
  return {
    listen_addresses: '',
    // A list: in double quotes a comma or space in the path is only itself.
    unix_socket_directories: `"${socketDirectory.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    port: String(port),
    max_connections: '60',
    shared_buffers: '64MB',
    maintenance_work_mem: '64MB',
    // Replication and parallel queries cost processes and shared memory, of which containers have little.
    wal_level: 'minimal',
    max_wal_senders: '0',
    max_parallel_workers: '0',
    max_worker_processes: '4',
    io_method: 'sync',
    jit: 'off',
    max_wal_size: '512MB',
    log_timezone: 'UTC',
    timezone: 'UTC',
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', autovacuum: 'off' }),
  };
}
