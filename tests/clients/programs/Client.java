// java.net.http.HttpClient as it comes: it offers h2c with every request on plain HTTP. It is not refused a body that it was
// to be asked for: before Java 20 it waits for ever for any answer but 100 (JDK-8286171).
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Client {
    static final String SUM = "{\"kind\":\"demo.sum\",\"input\":{\"values\":[1,2]}}";
    static final HttpClient CLIENT = HttpClient.newHttpClient();
    static String url, key;

    static HttpRequest.Builder at(String path, String token) {
        return HttpRequest.newBuilder(URI.create(url + path)).header("Authorization", "Bearer " + token);
    }

    static HttpRequest submit(String body, String token, boolean expect) {
        return at("/v1/jobs", token).header("Content-Type", "application/json").expectContinue(expect)
            .POST(HttpRequest.BodyPublishers.ofString(body)).build();
    }

    static HttpResponse<String> ask(String what, HttpRequest request) throws Exception {
        HttpResponse<String> answer = CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(what + " " + answer.statusCode());
        return answer;
    }

    public static void main(String[] given) throws Exception {
        url = given[0];
        key = given[1];
        HttpResponse<String> first = ask("submit", submit(SUM, key, false));
        ask("submit", submit(SUM, key, false));
        ask("large", submit(SUM + " ".repeat(20_000), key, false));
        ask("expect", submit(SUM, key, true));
        ask("refused", submit(SUM, "nobody", false));
        String path = first.headers().firstValue("location").get();
        HttpResponse<String> job = ask("look up", at(path, key).build());
        String etag = job.headers().firstValue("etag").get();
        ask("unchanged", at(path, key).header("If-None-Match", etag).build());
        ask("cancel", at(path + "/cancel", key).POST(HttpRequest.BodyPublishers.noBody()).build());
        ask("submit", submit(SUM, key, false));
    }
}
