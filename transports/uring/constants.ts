/**
 * The kernel's constants and the layout of its structures, under their own names. Source: include/uapi/linux/io_uring.h,
 * include/uapi/linux/time_types.h and the socket headers of Linux 6.18; these are ABI and do not change.
 */

// Flags of io_uring_setup.
export const IORING_SETUP_CQSIZE = 1 << 3;
export const IORING_SETUP_CLAMP = 1 << 4;
export const IORING_SETUP_SUBMIT_ALL = 1 << 7;
export const IORING_SETUP_COOP_TASKRUN = 1 << 8;
export const IORING_SETUP_SINGLE_ISSUER = 1 << 12;
export const IORING_SETUP_DEFER_TASKRUN = 1 << 13;
export const IORING_SETUP_NO_SQARRAY = 1 << 16;

// Features that io_uring_setup tells.
export const IORING_FEAT_SINGLE_MMAP = 1 << 0;
export const IORING_FEAT_NODROP = 1 << 1;
export const IORING_FEAT_SUBMIT_STABLE = 1 << 2;
export const IORING_FEAT_EXT_ARG = 1 << 8;
export const IORING_FEAT_CQE_SKIP = 1 << 11;

export const IORING_OFF_SQ_RING = 0;
export const IORING_OFF_SQES = 0x10000000;

// Flags of the submission queue, which the kernel sets.
export const IORING_SQ_CQ_OVERFLOW = 1 << 1;

// Flags of io_uring_enter.
export const IORING_ENTER_GETEVENTS = 1 << 0;
export const IORING_ENTER_EXT_ARG = 1 << 3;

// Operations of io_uring_register.
export const IORING_REGISTER_FILES_UPDATE = 6;
export const IORING_REGISTER_FILES2 = 13;
export const IORING_REGISTER_PBUF_RING = 22;
export const IORING_UNREGISTER_PBUF_RING = 23;
export const IORING_REGISTER_FILE_ALLOC_RANGE = 25;
export const IORING_RSRC_REGISTER_SPARSE = 1 << 0;

// Operations.
export const IORING_OP_NOP = 0;
export const IORING_OP_FSYNC = 3;
export const IORING_OP_TIMEOUT = 11;
export const IORING_OP_ACCEPT = 13;
export const IORING_OP_ASYNC_CANCEL = 14;
export const IORING_OP_CONNECT = 16;
export const IORING_OP_CLOSE = 19;
export const IORING_OP_READ = 22;
export const IORING_OP_WRITE = 23;
export const IORING_OP_SEND = 26;
export const IORING_OP_RECV = 27;
export const IORING_OP_SHUTDOWN = 34;

// Flags of an SQE, and what its other fields may say.
export const IOSQE_FIXED_FILE = 1 << 0;
export const IOSQE_IO_LINK = 1 << 2;
export const IOSQE_BUFFER_SELECT = 1 << 5;
export const IOSQE_CQE_SKIP_SUCCESS = 1 << 6;
export const IORING_FSYNC_DATASYNC = 1 << 0;
export const RWF_DSYNC = 1 << 1;
export const IORING_ACCEPT_MULTISHOT = 1 << 0;
export const IORING_RECV_MULTISHOT = 1 << 1;
export const IORING_FILE_INDEX_ALLOC = 0xffff_ffff;
export const IORING_ASYNC_CANCEL_ALL = 1 << 0;
export const IORING_ASYNC_CANCEL_ANY = 1 << 2;

// Flags of a CQE.
export const IORING_CQE_F_BUFFER = 1 << 0;
export const IORING_CQE_F_MORE = 1 << 1;
export const IORING_CQE_BUFFER_SHIFT = 16;

/**
 * Sizes and offsets of the structures, in bytes. `ring.ts` holds those of the queues and of their entries against the kernel
 * that runs; the kernel checks the others itself, since it refuses what makes no sense.
 */
export const layout = {
  io_uring_params: {
    size: 120,
    sq_entries: 0,
    cq_entries: 4,
    flags: 8,
    features: 20,
    sq_off: 40,
    cq_off: 80,
  },
  io_sqring_offsets: { head: 0, tail: 4, ring_mask: 8, ring_entries: 12, flags: 16, array: 24 },
  io_cqring_offsets: { head: 0, tail: 4, ring_mask: 8, ring_entries: 12, cqes: 20 },
  io_uring_sqe: {
    size: 64,
    opcode: 0, // u8
    flags: 1, // u8
    ioprio: 2, // u16
    fd: 4, // s32
    off: 8, // u64
    addr: 16, // u64
    len: 24, // u32
    op_flags: 28, // u32: msg_flags, accept_flags, cancel_flags, fsync_flags, rw_flags, …
    user_data: 32, // u64
    buf_group: 40, // u16
    file_index: 44, // u32
  },
  io_uring_cqe: { size: 16, user_data: 0, res: 8, flags: 12 },
  io_uring_buf: { size: 16, addr: 0, len: 8, bid: 12 },
  /** The tail lies where the first buffer has what it doesn't use. */
  io_uring_buf_ring: { tail: 14 },
  io_uring_buf_reg: { size: 40, ring_addr: 0, ring_entries: 8, bgid: 12 },
  io_uring_rsrc_register: { size: 32, nr: 0, flags: 4 },
  io_uring_files_update: { size: 16, offset: 0, fds: 8 },
  io_uring_file_index_range: { size: 16, off: 0, len: 4 },
  io_uring_getevents_arg: { size: 24, sigmask: 0, sigmask_sz: 8, ts: 16 },
  __kernel_timespec: { size: 16, tv_sec: 0, tv_nsec: 8 },
} as const;

// Sockets.
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const MSG_DONTWAIT = 0x40;
export const MSG_WAITALL = 0x100;
export const MSG_NOSIGNAL = 0x4000;
export const SHUT_WR = 1;
export const RLIMIT_NOFILE = 7;

// What operations fail with.
export const EINTR = 4;
export const EIO = 5;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EBUSY = 16;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const ETIME = 62;
export const ECONNABORTED = 103;
export const ENOBUFS = 105;
export const ECANCELED = 125;
