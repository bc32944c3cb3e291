Console.WriteLine("ValueCanvas");
