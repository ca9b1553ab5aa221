// Run as source: java -cp 'jars/*' Server.java PORT [KEY CERTIFICATE]
//
// Key (PKCS#8) and certificate are PEM files; with them it speaks TLS only.

import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.io.FileInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.List;

public class Server {
    public static void main(String[] args) throws Exception {
        MongoServer server = new MongoServer(new MemoryBackend().version(new Recent()));
        if (args.length > 1) {
            String pem = Files.readString(Path.of(args[1])).replaceAll("-----[A-Z ]+-----|\\s", "");
            PKCS8EncodedKeySpec key = new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem));
            try (FileInputStream certificate = new FileInputStream(args[2])) {
                server.enableSsl(
                    KeyFactory.getInstance("EC").generatePrivate(key),
                    null,
                    (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(certificate));
            }
        }
        server.bind("127.0.0.1", Integer.parseInt(args[0]));
        Thread.currentThread().join();
    }

    // It calls itself older than what today's drivers talk to; of what we use of MongoDB, nothing has changed since.
    static class Recent implements MongoVersion {
        public List<Integer> getVersionArray() {
            return List.of(4, 4, 0);
        }

        public int getWireVersion() {
            return 9;
        }
    }
}
