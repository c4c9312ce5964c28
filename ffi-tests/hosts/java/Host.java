// SPDX-License-Identifier: MPL-2.0
// Host DATA_DIR PROXIES TURN_MS leave|kill: see docs/hosts.md. Finds libproxyprocess.so by LD_LIBRARY_PATH.
import com.sun.jna.Memory;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.util.Arrays;

public final class Host {
    private static final NativeLibrary LIBRARY = NativeLibrary.getInstance("proxyprocess");

    private static void call(String name, Object... arguments) {
        PointerByReference error = new PointerByReference();
        Object[] all = Arrays.copyOf(arguments, arguments.length + 1);
        all[arguments.length] = error;
        if (LIBRARY.getFunction("proxyprocess_" + name).invokeInt(all) != 0) {
            Object[] failed = {error.getValue(), null};
            throw new IllegalStateException(LIBRARY.getFunction("proxyprocess_error_message").invokeString(failed, false));
        }
    }

    private static Pointer get(String name, Object... arguments) {
        PointerByReference result = new PointerByReference();
        Object[] all = Arrays.copyOf(arguments, arguments.length + 1);
        all[arguments.length] = result;
        call(name, all);
        return result.getValue();
    }

    public static void main(String[] args) throws Exception {
        Memory options = new Memory(96), event = new Memory(88), dataDir = new Memory(args[0].getBytes().length + 1);
        dataDir.setString(0, args[0]);
        LIBRARY.getFunction("proxyprocess_manager_options_init").invokeInt(new Object[] {options, 96L});
        options.setByte(4, (byte) 1); // allow_root
        options.setPointer(8, dataDir);
        Pointer state = get("state_new");
        call("state_replace_all_json", state, args[1], (long) args[1].getBytes().length);
        Pointer manager = get("manager_new", state, options);
        Pointer events = get("manager_events", manager); // before the restore, to see adoptions
        call("manager_restore", manager, null);
        call("manager_start", manager);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> { // on Ctrl-C as well, beside a call that waits
            System.out.println("interrupted");
            if (args[3].equals("kill")) {
                call("manager_kill", manager); // else the proxies run on, for the next host
            }
        }));
        int own = 0;
        for (int i = 0; i < 20; i++) {
            own += new ProcessBuilder("./child").inheritIO().start().waitFor() == 3 ? 1 : 0;
        }
        System.out.println("own " + own + " of 20\nfork none");
        event.setInt(0, 88);
        do {
            call("events_next", events, Long.parseLong(args[2]), event); // other threads and the collector run meanwhile
            if (event.getInt(4) > 1) {
                PointerByReference json = new PointerByReference();
                call("event_json", event, json, null);
                System.out.println(json.getValue().getString(0, "UTF-8"));
                LIBRARY.getFunction("proxyprocess_text_free").invokeVoid(new Object[] {json.getValue()});
            } else {
                System.out.println("turn"); // NONE
            }
        } while (event.getInt(4) != 1); // END
    }
}
