/** What a board among peers gives beside ../system/hal.ts, whose link is here the one that was selected last. */

/** The link, 0 or 1, that hal_link_room() and hal_link_send() mean from now on. */
export declare function hal_link_select(link: u32): void;
/** Takes what came in on a link; the bytes. */
export declare function hal_link_read(link: u32, ptr: usize, capacity: i32): i32;

/** The journal's area: sectors of 4096 bytes. */
export declare function hal_flash_sectors(): u32;
export declare function hal_flash_read(offset: u32, ptr: usize, length: i32): void;
/** Some 45 ms without interrupts. */
export declare function hal_flash_erase(offset: u32): void;
/** Programs 16 bytes at a multiple of 16, 0.4 ms without interrupts; 1 when they read back. */
export declare function hal_flash_program(offset: u32, ptr: usize): u32;
